"""The training loop: a skorch net, the batches it draws, the epochs it keeps."""

from ._checkpoints import Checkpoint, fingerprint
from ._net import GroupNet
from ._network import Network, embed_in_batches, hidden_layers
from ._progress import Progress
from ._source import EvaluationSource, Sampler, TrainingSource, as_tensor

__all__ = [
    "Checkpoint",
    "EvaluationSource",
    "GroupNet",
    "Network",
    "Progress",
    "Sampler",
    "TrainingSource",
    "as_tensor",
    "embed_in_batches",
    "fingerprint",
    "hidden_layers",
]
