"""Fitted classifiers as ONNX: backbone and head in one graph, which needs neither torch nor us."""

from __future__ import annotations

import json
import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.utils.fixes import parse_version
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch.nn import functional as F

from . import __version__
from ._files import replace_file
from ._random_state import borrowed_random_state
from .exceptions import GBMixError

__all__ = ["export_onnx"]

_N_CHECKED = (1, 3)  # batch sizes, of which the graph was traced with neither


def export_onnx(estimator: Any, path: Any) -> None:
    """Write a fitted classifier as one ONNX graph, and check it with onnxruntime.

    Parameters
    ----------
    estimator : classifier
        Any fitted classifier of this package.
    path : str or Path
        The file, which is replaced once the new graph has passed the check.

    Raises
    ------
    ImportError
        If onnx, onnxscript or onnxruntime is missing, or torch is older than 2.8.
    sklearn.exceptions.NotFittedError
        If the classifier is not fitted.
    TypeError
        If it is none of this package, such as a Pipeline.
    GBMixError
        If the graph cannot be made, or computes something else; an old file is left as it is.

    Notes
    -----
    The graph computes in float32. Its input is

    - ``X``, float32 of the shape that `predict` takes without the group columns, or
    - ``pixels``, uint8 (n, height, width, 3): images that are resized and cropped already.
      Normalisation is in the graph. The entry ``preprocessing`` of its metadata says how: the short
      side is resized to the size divided by ``crop_pct``, with the given interpolation, and the
      centre is cut out.

    Its outputs are ``decision``, as `decision_function` has it, and ``probabilities`` where the
    head is a logistic regression. The metadata also have the classes.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import make_classification
    >>> from gbmix_sklearn import ERMClassifier
    >>> X, y = make_classification(200, random_state=0)
    >>> model = ERMClassifier(max_epochs=2, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.export_onnx(f"{folder}/model.onnx")
    """
    from .estimators._base import GroupClassifier

    if not isinstance(estimator, GroupClassifier):
        raise TypeError(
            f"only classifiers of this package can be exported, got a {type(estimator).__name__}; "
            "of a Pipeline export the last step, whose input is what the steps before it give"
        )
    check_is_fitted(estimator, "head_")
    _import_onnx()
    graph = _Graph(estimator).eval()
    description = estimator._backbone.describe()
    with borrowed_random_state(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about itself
        try:
            program = torch.onnx.export(
                graph,
                (graph.example(2, seed=0),),
                dynamo=True,
                input_names=[graph.input_name],
                output_names=graph.output_names,
                dynamic_shapes=({0: torch.export.Dim("n", min=1)},),
                external_data=False,
                verbose=False,
            )
        except Exception as error:
            raise GBMixError(f"the network cannot be written as ONNX: {error}") from error
        assert program is not None
    model = program.model_proto
    metadata = {
        "classifier": type(estimator).__name__,
        "classes": json.dumps(estimator.classes_.tolist(), default=str),
        "gbmix_sklearn": __version__,
    }
    if isinstance(description, dict):
        metadata["preprocessing"] = json.dumps(description["preprocess"])
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    content = model.SerializeToString()
    _check(content, graph)
    replace_file(Path(path), lambda file: file.write(content))


def _import_onnx() -> Any:
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"export_onnx needs {error.name}: pip install 'gbmix-sklearn[onnx]'"
        ) from error
    if parse_version(torch.__version__) < parse_version("2.8"):
        raise ImportError(
            f"export_onnx needs torch 2.8 or later, whose exporter fits onnxscript; this is "
            f"{torch.__version__}: pip install 'gbmix-sklearn[onnx]'"
        )
    return onnxruntime


class _Graph(nn.Module):
    """Everything from the input to the decision, as a copy on the CPU."""

    mean: torch.Tensor
    std: torch.Tensor
    coef: torch.Tensor
    intercept: torch.Tensor

    def __init__(self, estimator: Any):
        super().__init__()
        self.shape = estimator._input_shape
        self.takes_images = estimator._takes_images
        self.input_name = "pixels" if self.takes_images else "X"
        if self.takes_images:
            preprocess = estimator._backbone.preprocess
            self.shape = (*preprocess.size, 3)
            self.register_buffer("mean", 255 * torch.tensor(preprocess.mean))
            self.register_buffer("std", 255 * torch.tensor(preprocess.std))
        network = estimator.net_.raw_module
        self.frozen, self.embedding = (
            None if part is None else deepcopy(part).cpu().float()
            for part in (estimator.backbone_, network.embedding)
        )
        head = estimator.head_
        self.register_buffer("coef", torch.tensor(head.coef_, dtype=torch.float32))
        self.register_buffer("intercept", torch.tensor(head.intercept_, dtype=torch.float32))
        self.is_logistic = isinstance(head, LogisticRegression)
        self.output_names = ["decision", "probabilities"][: 1 + self.is_logistic]

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if self.takes_images:
            x = ((x.float() - self.mean) / self.std).permute(0, 3, 1, 2)
        if self.frozen is not None:
            x = self.frozen(x)
            if not self.takes_images:
                x = x.flatten(1)
        if self.embedding is not None:
            x = self.embedding(x)
        decision = F.linear(x.flatten(1), self.coef, self.intercept)
        is_binary = self.coef.shape[0] == 1
        outputs = (decision.squeeze(1) if is_binary else decision,)
        if not self.is_logistic:
            return outputs
        logits = torch.cat([torch.zeros_like(decision), decision], 1) if is_binary else decision
        return (*outputs, logits.softmax(1))

    def example(self, n: int, seed: int) -> torch.Tensor:
        rng = np.random.default_rng(seed)
        if self.takes_images:
            return torch.from_numpy(rng.integers(256, size=(n, *self.shape), dtype=np.uint8))
        return torch.from_numpy(rng.standard_normal((n, *self.shape), dtype=np.float32))


def _check(content: bytes, graph: _Graph) -> None:
    onnxruntime = _import_onnx()
    run: Any = None
    for n in _N_CHECKED:
        x = graph.example(n, seed=n)
        with torch.inference_mode():
            expected = [output.numpy() for output in graph(x)]
        try:
            run = (
                run or onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run
            )
            found = run(graph.output_names, {graph.input_name: x.numpy()})
        except Exception as error:  # its exceptions have no base of their own
            raise GBMixError(
                f"the graph was not written: onnxruntime cannot run it for {n} samples. A network "
                "that does other things for other numbers of samples cannot be one graph. "
                f"({type(error).__name__}: {error})"
            ) from error
        for name, ours, theirs in zip(graph.output_names, expected, found, strict=True):
            tolerance = 1e-3 * max(1.0, float(np.abs(ours).max()))
            if ours.shape != theirs.shape or not np.allclose(ours, theirs, atol=tolerance):
                raise GBMixError(
                    f"the graph was not written: for {n} samples its {name} is not that of the "
                    "classifier"
                )
