"""The training loop: a skorch net, the batches it draws, the epochs it keeps."""

from ._checkpoints import Checkpoint, fingerprint
from ._image_inputs import ImageInputs
from ._inputs import ArrayInputs, Inputs, Loaded, as_tensor
from ._net import GroupNet
from ._network import Network, embed_in_batches, hidden_layers
from ._progress import Progress
from ._source import EvaluationSource, Sampler, TrainingSource

__all__ = [
    "ArrayInputs",
    "Checkpoint",
    "EvaluationSource",
    "GroupNet",
    "ImageInputs",
    "Inputs",
    "Loaded",
    "Network",
    "Progress",
    "Sampler",
    "TrainingSource",
    "as_tensor",
    "embed_in_batches",
    "fingerprint",
    "hidden_layers",
]
