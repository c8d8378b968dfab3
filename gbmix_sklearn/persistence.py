"""Saving fitted classifiers as safetensors and JSON: nothing in them can be executed.

A model is a folder with ``model.json`` and one ``weights-<digest>.safetensors``. Whoever loads one
need not trust who wrote it: names are looked up in lists, sizes are those of the weights, and paths
of the machine that saved are neither stored nor taken over.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors
import sklearn
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from sklearn.utils.validation import check_is_fitted
from skorch.history import History

from . import __version__
from ._device import resolve_device
from ._plain import PlainClassifier
from ._random_state import borrowed_random_state
from ._saved_checks import check_backbone, check_content, check_finite, check_layers
from ._saved_files import (
    MODEL,
    check_folder,
    read_current,
    read_weights,
    write_model,
)
from ._saved_values import (
    LINEAR_MODELS,
    array_from_json,
    array_to_json,
    linear_model_from_json,
    linear_model_to_json,
    parameter_from_json,
    parameter_to_json,
    table_from_json,
    table_to_json,
    value_from_json,
    value_to_json,
)
from .criteria import CrossEntropyCriterion
from .exceptions import GBMixError
from .refit import set_weights

__all__ = ["load_model", "save_model"]

_HEAD_ATTRIBUTES = ("coef_", "intercept_")
#: parameters that are paths of the machine that fits, which are not stored
_PATHS = ("cache_dir", "checkpoint_dir", "image_root")
#: what wrong types and values in a file lead to, wherever they are met first
_WRONG = (
    ArithmeticError,
    AttributeError,
    KeyError,
    IndexError,
    RecursionError,
    TypeError,
    ValueError,
)


def save_model(estimator: Any, path: Any) -> None:
    """Save a fitted classifier.

    Parameters
    ----------
    estimator : classifier
        Any fitted classifier of this package.
    path : str or Path
        A folder: a new one, an empty one, or one with a saved model, which is replaced. Other files
        that lie beside such a model stay as they are.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the classifier is not fitted.
    FileExistsError
        If the folder holds something else.
    TypeError
        If a label, group or parameter has no representation in JSON, or the head is not a linear
        classifier of scikit-learn.
    ValueError
        If parameters were changed after fit, and do not belong to the fitted weights any more.
    OSError
        If it cannot be written; an older model stays as it was.
    """
    write_classifier(estimator, path)


def write_classifier(
    estimator: Any, path: Any, data: dict[str, Any] | None = None, beside: tuple[str, ...] = ()
) -> None:
    """Do what :func:`save_model` does.

    With it goes a description of the data, in the same step; files named `beside` may be there
    where no model is.
    """
    from .estimators import METHODS

    if isinstance(estimator, PlainClassifier):
        _write_plain(estimator, Path(path), data, beside)
        return
    if type(estimator) not in METHODS.values():
        raise TypeError(
            f"only classifiers of this package can be saved, since code is not; got a "
            f"{type(estimator).__name__}: pickle it instead, or of a Pipeline save its last step"
        )
    check_is_fitted(estimator, "head_")
    folder = Path(path)
    check_folder(folder, beside)
    head = estimator.head_
    if type(head) not in LINEAR_MODELS.values():
        raise TypeError(
            f"only heads from sklearn.linear_model can be saved, got {type(head).__name__}; "
            "pickle the classifier instead"
        )
    tensors = _state_of(estimator.net_.raw_module, "net")
    if estimator.backbone_ is not None:
        tensors |= _state_of(estimator.backbone_, "backbone")
    tensors |= {f"head.{n}": torch.from_numpy(getattr(head, n)) for n in _HEAD_ATTRIBUTES}
    if estimator._seen is not None:  # reinterpreted: hashes are unsigned
        tensors["seen"] = torch.from_numpy(estimator._seen.keys.view(np.int64))
    content = _content(estimator)
    if data is not None:
        content["data"] = data
    _check_savable(estimator, content, tensors)
    write_model(folder, content, save_tensors(tensors))


def _state_of(module: torch.nn.Module, part: str) -> dict[str, torch.Tensor]:
    """Weights on the CPU, each with memory of its own: tied ones are saved twice."""
    state: dict[str, torch.Tensor] = {}
    memory: set[int] = set()
    for name, value in module.state_dict().items():
        if not isinstance(value, torch.Tensor) or value.is_quantized or value.is_sparse:
            raise TypeError(
                f"the state of the backbone has {name!r}, which is no plain tensor and cannot be "
                "saved (quantised and sparse modules have such): pickle the classifier instead"
            )
        tensor = value.detach().cpu().contiguous()
        place = tensor.untyped_storage().data_ptr()
        state[f"{part}.{name}"] = tensor.clone() if place in memory else tensor
        memory.add(place)
    return state


def _content(estimator: Any) -> dict[str, Any]:
    """All but the weights."""
    head = estimator.head_
    return {
        "class": type(estimator).__name__,
        "parameters": {
            name: _parameter(name, value)
            for name, value in estimator.get_params(deep=False).items()
            if name not in ("backbone", *_PATHS)
        },
        "backbone": estimator._backbone.describe(),
        "classes": array_to_json(estimator.classes_),
        "n_features_in": getattr(estimator, "n_features_in_", None),
        "input_shape": list(estimator._input_shape),
        "feature_names_in": _names(estimator),
        "group_columns": [value_to_json(column) for column in estimator._group_columns],
        "groups": table_to_json(estimator.group_table_),
        "cell_table": table_to_json(estimator.cell_table_),
        "head": _head_to_json(head),
        "n_hidden_inputs": estimator._n_hidden_inputs,
        "n_embedding": head.coef_.shape[1],
        "best_epoch": estimator.best_epoch_,
        "steps": {"lr": estimator.lr_, "weight_decay": estimator.weight_decay_},
        "own_results": {
            n: parameter_to_json(n, getattr(estimator, n)) for n in estimator._own_results
        },
        "history": estimator.history_.to_dict("list"),
        "epochs": list(estimator.net_.history),
        "versions": _versions(),
    }


def _head_to_json(head: Any) -> dict[str, Any]:
    saved = linear_model_to_json(head)
    return {"class": saved["linear_model"], "parameters": saved["parameters"]}


def _check_savable(
    estimator: Any, content: dict[str, Any], tensors: dict[str, torch.Tensor]
) -> None:
    """Refuse to save what could not be loaded."""
    estimator._validate_params()
    estimator._check_parameters()
    described = content["backbone"]
    try:
        check_layers(
            content,
            tensors,
            hidden_units=estimator.hidden_units,
            n_classes=len(estimator.classes_),
            trains_backbone=described is not None and not estimator._runs_once,
        )
        if isinstance(described, dict):
            if estimator._runs_once != estimator._backbone.runs_once:
                raise ValueError(f"it speaks of trainable={estimator.trainable!r}")
            check_backbone(described, tensors, estimator.image_size)
    except ValueError as error:
        raise ValueError(
            f"the parameters are not those of the fit any more ({error}): put them back, or fit "
            "again before saving"
        ) from error
    check_finite(tensors)


def load_model(path: Any, *, device: str = "auto", backbone: torch.nn.Module | None = None) -> Any:
    """Load a classifier that `save` has written.

    Parameters
    ----------
    path : str or Path
        The folder.
    device : str, default="auto"
        Where it computes from now on.
    backbone : Module, default=None
        A module of the architecture that was given as `backbone`, whose weights are then
        replaced. Needed only if there was one: code is never stored.

    Returns
    -------
    classifier
        Fitted, with predictions equal to those of the saved one to float precision. Callbacks,
        functions given as `augment` and generators given as `random_state` are not stored, nor
        paths (`cache_dir`, `checkpoint_dir`, `image_root`, a file given as `pretrained`): set them
        anew where they are wanted.

    Raises
    ------
    FileNotFoundError
        If there is no saved model.
    GBMixError
        If the files are truncated or altered, say what cannot be, or were written by an
        incompatible version.
    ValueError
        If a backbone is needed and missing, or does not fit.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import make_classification
    >>> from gbmix_sklearn import ERMClassifier, load_model
    >>> X, y = make_classification(200, random_state=0)
    >>> model = ERMClassifier(max_epochs=2, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(folder)
    ...     loaded = load_model(folder)
    >>> bool((loaded.predict(X) == model.predict(X)).all())
    True
    """
    return read_classifier(path, device, backbone)[0]


def read_classifier(
    path: Any, device: str, backbone: torch.nn.Module | None = None
) -> tuple[Any, Any]:
    """Do what :func:`load_model` does; also give the description of the data, None without one."""
    folder = Path(path)
    content, weights = read_current(folder, lambda c: (c, read_weights(folder, c)))
    if content.get("class") == PlainClassifier.__name__:
        return _read_plain(folder, content, weights), content.get("data")
    if content.get("backbone") == "module" and backbone is None:
        raise ValueError(
            f"the model in {folder} was trained with a module as backbone, and code is not stored: "
            "give a module of the same architecture as backbone=..."
        )
    try:
        tensors = load_tensors(weights)
        del weights
        estimator = _unfitted(content)
        _give_attributes(estimator, content)
        _give_head(estimator, content, tensors)
        check_finite(tensors)
        check_layers(
            content,
            tensors,
            hidden_units=estimator.hidden_units,
            n_classes=len(estimator.classes_),
            trains_backbone=content["backbone"] is not None and not estimator._runs_once,
        )
        if content["backbone"] is not None and content["backbone"] != "module":
            check_backbone(content["backbone"], tensors, estimator.image_size)
            backbone = content["backbone"]["name"]
    except (*_WRONG, safetensors.SafetensorError) as error:
        raise _unusable(folder, error) from error
    estimator.set_params(device=device, backbone=backbone)
    place = resolve_device(device)
    try:
        estimator._check_parameters()
        with borrowed_random_state():  # initial weights are drawn, then replaced
            _give_network(estimator, content, tensors, place)
    except _WRONG as error:
        if isinstance(backbone, torch.nn.Module):  # it was given, and may be at fault
            raise
        raise _unusable(folder, error) from error
    return estimator, content.get("data")


def _write_plain(
    plain: PlainClassifier, folder: Path, data: dict[str, Any] | None, beside: tuple[str, ...]
) -> None:
    check_folder(folder, beside)
    content = plain.to_json() | {"versions": _versions()}
    if data is not None:
        content["data"] = data
    tensors = {n: torch.from_numpy(np.ascontiguousarray(v)) for n, v in plain.to_arrays().items()}
    write_model(folder, content, save_tensors(tensors))


def _read_plain(folder: Path, content: dict[str, Any], weights: bytes) -> PlainClassifier:
    try:
        tensors = {name: tensor.numpy() for name, tensor in load_tensors(weights).items()}
        return PlainClassifier.from_saved(content, tensors)
    except (*_WRONG, safetensors.SafetensorError) as error:
        raise _unusable(folder, error) from error


def _unusable(folder: Path, error: Exception) -> GBMixError:
    return GBMixError(
        f"the model in {folder} cannot be used, {folder / MODEL} is damaged or was not written by "
        f"this package ({type(error).__name__}: {error})"
    )


def _unfitted(content: dict[str, Any]) -> Any:
    """Build the classifier with the parameters that it was saved with."""
    from .estimators import METHODS

    classes = {method.__name__: method for method in METHODS.values()}
    if content["class"] not in classes:
        raise ValueError(f"this version knows no {content['class']}")
    estimator = classes[content["class"]]()
    known = estimator.get_params(deep=False)
    for name, saved in content["parameters"].items():
        if name not in known:
            raise ValueError(f"it has no parameter {name}")
        value = parameter_from_json(saved)
        if name in ("backbone", "device", *_PATHS):
            continue
        if name == "pretrained" and not isinstance(value, bool):
            continue
        setattr(estimator, name, value)
    estimator._validate_params()
    return estimator


def _give_attributes(estimator: Any, content: dict[str, Any]) -> None:
    """Give an estimator its fitted attributes, network and head aside."""
    # models that were saved before these were found have them as parameters
    content.setdefault("steps", content["parameters"])
    check_content(content, estimator._own_results)
    estimator.classes_ = array_from_json(content["classes"])
    if len(estimator.classes_) < 2 or len(set(estimator.classes_.tolist())) < len(
        estimator.classes_
    ):
        raise ValueError("it has fewer than two classes")
    if content["n_features_in"] is not None:
        estimator.n_features_in_ = content["n_features_in"]
    estimator._input_shape = tuple(content["input_shape"])
    if content["feature_names_in"] is not None:
        estimator.feature_names_in_ = np.array(content["feature_names_in"], dtype=object)
    estimator._group_columns = [value_from_json(column) for column in content["group_columns"]]
    estimator.group_table_ = table_from_json(content["groups"])
    if "cell_table" in content:  # later than the format
        estimator.cell_table_ = table_from_json(content["cell_table"])
    estimator.best_epoch_ = content["best_epoch"]
    estimator.cell_weights_ = estimator.refit_history_ = None
    estimator.lr_ = content["steps"]["lr"]
    estimator.weight_decay_ = content["steps"]["weight_decay"]
    for name in estimator._own_results:
        setattr(estimator, name, content["own_results"][name])
    estimator.history_ = pd.DataFrame(content["history"])
    estimator._n_features_out = content["n_embedding"]


def _give_head(estimator: Any, content: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    from .estimators._duplicates import SeenSamples

    saved = content["head"]
    head = linear_model_from_json(
        {"linear_model": saved["class"], "parameters": saved["parameters"]}
    )
    coef, intercept = (tensors[f"head.{name}"].numpy() for name in _HEAD_ATTRIBUTES)
    estimator.head_ = set_weights(head, coef, intercept, estimator.classes_)
    if "seen" in tensors:
        estimator._seen = SeenSamples(tensors["seen"].numpy().view(np.uint64))


def _give_network(
    estimator: Any,
    content: dict[str, Any],
    tensors: dict[str, torch.Tensor],
    device: torch.device,
) -> None:
    try:
        estimator._backbone = estimator._backbone_from(content["backbone"])
        if estimator.backbone_ is not None:
            estimator.backbone_.load_state_dict(_part_of(tensors, "backbone"))
        trained = estimator._backbone.take_trained()
        network = estimator._assemble(trained, content["n_hidden_inputs"])
        network.load_state_dict(_part_of(tensors, "net"))
    except RuntimeError as error:
        raise ValueError(f"the backbone does not fit the saved weights: {error}") from error
    for name, parameter in network.named_parameters():
        if not bool(parameter.isfinite().all()):
            raise GBMixError(f"the saved model has NaN or infinite weights in {name}")
    network.eval()
    # no more than what predicts: a criterion may need the training data
    estimator.net_ = estimator._make_net(network, CrossEntropyCriterion(), device=device)
    estimator.net_.history = History(content["epochs"])
    estimator.net_.best_epoch_ = content["best_epoch"]


def _part_of(tensors: dict[str, torch.Tensor], part: str) -> dict[str, torch.Tensor]:
    prefix = f"{part}."
    return {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}


def _versions() -> dict[str, str]:
    modules = {"numpy": np, "pandas": pd, "scikit-learn": sklearn, "torch": torch}
    return {"gbmix-sklearn": __version__} | {n: str(m.__version__) for n, m in modules.items()}


def _names(estimator: Any) -> list[str] | None:
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def _parameter(name: str, value: Any) -> Any:
    if isinstance(value, np.random.RandomState) or name == "callbacks":
        return None
    if name == "augment" and callable(value):
        return None
    if name == "pretrained" and isinstance(value, str | os.PathLike):
        return True  # a path, which is nothing to those who load the model
    if name == "value_range" and value is not None:
        return parameter_to_json(name, tuple(float(end) for end in value))
    return parameter_to_json(name, value)
