"""The training loop: a skorch net, the batches it draws, the epochs it keeps."""

from ._callback_net import AdoptLoaded
from ._callback_state import identity_of_callbacks
from ._cell_shares import CellShares
from ._checkpoints import Checkpoint
from ._features import Features, measured_width, named_as_backbone
from ._identity import fingerprint
from ._image_inputs import ImageInputs
from ._inputs import ArrayInputs, Inputs, Loaded, as_tensor
from ._net import GroupNet
from ._network import Network, embed_in_batches, hidden_layers
from ._progress import Progress
from ._scaling import InputScaling
from ._source import EvaluationSource, Sampler, TrainingSource
from ._sparse_inputs import SparseInputs
from ._step_size import Steps, largest_eigenvalue, steps_for_features, steps_for_network

__all__ = [
    "AdoptLoaded",
    "ArrayInputs",
    "CellShares",
    "Checkpoint",
    "EvaluationSource",
    "Features",
    "GroupNet",
    "ImageInputs",
    "InputScaling",
    "Inputs",
    "Loaded",
    "Network",
    "Progress",
    "Sampler",
    "SparseInputs",
    "Steps",
    "TrainingSource",
    "as_tensor",
    "embed_in_batches",
    "fingerprint",
    "hidden_layers",
    "identity_of_callbacks",
    "largest_eigenvalue",
    "measured_width",
    "named_as_backbone",
    "steps_for_features",
    "steps_for_network",
]
