"""Saving fitted classifiers as safetensors and JSON: nothing in them can be executed.

A model is a folder with ``model.json`` and one ``weights-<digest>.safetensors``. The weights are
written first, under a name of their own; replacing ``model.json`` is the single step that makes a
saved model the current one, so that an interrupted save leaves the old model as it was.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors
import sklearn
import sklearn.linear_model
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from sklearn.utils.validation import check_is_fitted
from skorch.history import History

from . import __version__
from ._device import resolve_device
from ._files import replace_file
from .criteria import CrossEntropyCriterion
from .exceptions import GBMixError
from .groups import table_from_json, table_to_json
from .refit import LearnedRecipe, Recipe, set_weights

__all__ = ["load_model", "save_model"]

_FORMAT = 3
_HEAD_ATTRIBUTES = ("coef_", "intercept_")


def save_model(estimator: Any, path: Any) -> None:
    """Save a fitted classifier.

    Parameters
    ----------
    estimator : classifier
        Any fitted classifier of this package.
    path : str or Path
        A folder: a new one, an empty one, or one with a saved model, which is replaced.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the classifier is not fitted.
    FileExistsError
        If the folder holds something else.
    TypeError
        If a label or parameter has no representation in JSON, or the head is not a linear
        classifier of scikit-learn.
    """
    from .estimators import METHODS

    if type(estimator) not in METHODS.values():
        raise TypeError(
            f"only classifiers of this package can be saved, since code is not; got a "
            f"{type(estimator).__name__}: pickle it instead, or of a Pipeline save its last step"
        )
    check_is_fitted(estimator, "head_")
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; give the name of a folder to save to")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "model.json").exists():
        raise FileExistsError(f"{folder} holds other files; give a new or empty folder")
    head = estimator.head_
    head_class = type(head).__name__
    if getattr(sklearn.linear_model, head_class, None) is not type(head):
        raise TypeError(
            f"only heads from sklearn.linear_model can be saved, got {type(head).__name__}; "
            "pickle the classifier instead"
        )
    tensors = {f"net.{n}": v for n, v in estimator.net_.raw_module.state_dict().items()}
    if estimator.backbone_ is not None:
        tensors |= {f"backbone.{n}": v for n, v in estimator.backbone_.state_dict().items()}
    tensors |= {f"head.{n}": torch.from_numpy(getattr(head, n)) for n in _HEAD_ATTRIBUTES}
    if estimator._seen is not None:  # reinterpreted: hashes are unsigned
        tensors["seen"] = torch.from_numpy(estimator._seen.keys.view(np.int64))
    weights = save_tensors({n: v.detach().cpu().contiguous() for n, v in tensors.items()})
    digest = hashlib.sha256(weights).hexdigest()
    content = {
        "class": type(estimator).__name__,
        "parameters": {
            name: _to_json(name, value)
            for name, value in estimator.get_params(deep=False).items()
            if name != "backbone"
        },
        "backbone": estimator._backbone.describe(),
        "classes": _array_to_json(estimator.classes_),
        "n_features_in": getattr(estimator, "n_features_in_", None),
        "input_shape": list(estimator._input_shape),
        "feature_names_in": _names(estimator),
        "group_columns": [_scalar(column) for column in estimator._group_columns],
        "groups": table_to_json(estimator.group_table_),
        "cell_table": table_to_json(estimator.cell_table_),
        "head": {"class": head_class, "parameters": _plain(head.get_params(deep=False))},
        "n_hidden_inputs": estimator._n_hidden_inputs,
        "n_embedding": head.coef_.shape[1],
        "best_epoch": estimator.best_epoch_,
        "steps": {"lr": estimator.lr_, "weight_decay": estimator.weight_decay_},
        "own_results": {n: _scalar(getattr(estimator, n)) for n in estimator._own_results},
        "history": estimator.history_.to_dict("list"),
        "epochs": list(estimator.net_.history),
        "weights": f"weights-{digest[:16]}.safetensors",
        "weights_sha256": digest,
        "versions": _versions(),
    }
    text = json.dumps(content, indent=1)
    document = {
        "format": _FORMAT,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "content": content,
    }
    replace_file(folder / content["weights"], lambda file: file.write(weights))
    replace_file(
        folder / "model.json", lambda file: file.write(json.dumps(document, indent=1).encode())
    )
    for old in folder.glob("weights-*.safetensors"):
        if old.name != content["weights"]:
            old.unlink()


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
        functions given as `augment` and generators given as `random_state` are not stored.

    Raises
    ------
    FileNotFoundError
        If there is no saved model.
    GBMixError
        If the files are truncated, altered, or written by an incompatible version.
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
    from .estimators import METHODS

    folder = Path(path)
    content = _read_content(folder)
    tensors = _read_weights(folder, content)
    classes = {method.__name__: method for method in METHODS.values()}
    if content["class"] not in classes:
        raise GBMixError(f"{folder} holds a {content['class']}, which this version does not know")
    stored = content["backbone"]
    if stored == "module" and backbone is None:
        raise ValueError(
            f"the model in {folder} was trained with a module as backbone, and code is not stored: "
            "give a module of the same architecture as backbone=..."
        )
    parameters = {name: _from_json(value) for name, value in content["parameters"].items()}
    if isinstance(stored, dict):
        backbone = stored["name"]
    estimator = classes[content["class"]](**(parameters | {"device": device, "backbone": backbone}))
    with torch.random.fork_rng(devices=[]):  # initial weights are drawn, then replaced
        _restore(estimator, content, tensors)
    return estimator


def _restore(estimator: Any, content: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    """Give an unfitted estimator its fitted attributes."""
    from .estimators._duplicates import SeenSamples

    estimator.classes_ = _array_from_json(content["classes"])
    if content["n_features_in"] is not None:
        estimator.n_features_in_ = content["n_features_in"]
    estimator._input_shape = tuple(content["input_shape"])
    if content["feature_names_in"] is not None:
        estimator.feature_names_in_ = np.array(content["feature_names_in"], dtype=object)
    estimator._group_columns = content["group_columns"]
    estimator.group_table_ = table_from_json(content["groups"])
    if "cell_table" in content:  # later than the format
        estimator.cell_table_ = table_from_json(content["cell_table"])
    estimator.best_epoch_ = content["best_epoch"]
    # models that were saved before these were found have them as parameters
    steps = content.get("steps", content["parameters"])
    estimator.cell_weights_ = estimator.refit_history_ = None
    estimator.lr_, estimator.weight_decay_ = steps["lr"], steps["weight_decay"]
    for name in estimator._own_results:
        setattr(estimator, name, content["own_results"][name])
    estimator.history_ = pd.DataFrame(content["history"])
    estimator._n_features_out = content["n_embedding"]

    head_class = getattr(sklearn.linear_model, content["head"]["class"])
    head = head_class(**content["head"]["parameters"])
    coef, intercept = (tensors[f"head.{name}"].numpy() for name in _HEAD_ATTRIBUTES)
    estimator.head_ = set_weights(head, coef, intercept, estimator.classes_)

    if "seen" in tensors:
        estimator._seen = SeenSamples(tensors["seen"].numpy().view(np.uint64))
    device = resolve_device(estimator.device)
    state = _part_of(tensors, "net")
    try:
        estimator._backbone = estimator._backbone_from(content["backbone"])
        if estimator.backbone_ is not None:
            estimator.backbone_.load_state_dict(_part_of(tensors, "backbone"))
        trained = estimator._backbone.take_trained()
        network = estimator._assemble(trained, content["n_hidden_inputs"])
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"the backbone does not fit the saved weights: {error}") from error
    # no more than what predicts: a criterion may need the training data
    estimator.net_ = estimator._make_net(network, CrossEntropyCriterion(), device=device)
    estimator.net_.history = History(content["epochs"])
    estimator.net_.best_epoch_ = content["best_epoch"]


def _part_of(tensors: dict[str, torch.Tensor], part: str) -> dict[str, torch.Tensor]:
    prefix = f"{part}."
    return {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}


def _read_content(folder: Path) -> dict[str, Any]:
    path = folder / "model.json"
    if not path.exists():
        raise FileNotFoundError(f"{folder} holds no saved model: there is no {path.name} in it")
    try:
        document = json.loads(path.read_bytes())
        version, digest, content = document["format"], document["sha256"], document["content"]
    except (ValueError, KeyError, TypeError) as error:
        raise GBMixError(f"{path} is truncated or not a saved model ({error})") from error
    if version != _FORMAT:
        raise GBMixError(
            f"{path} has format {version}, and this version ({__version__}) reads format {_FORMAT}"
        )
    if hashlib.sha256(json.dumps(content, indent=1).encode()).hexdigest() != digest:
        raise GBMixError(f"{path} was altered after it was saved: its checksum does not fit")
    return content


def _read_weights(folder: Path, content: dict[str, Any]) -> dict[str, torch.Tensor]:
    path = folder / Path(content["weights"]).name
    if not path.exists():
        raise GBMixError(f"{folder} is incomplete: {path.name} is missing")
    weights = path.read_bytes()
    if hashlib.sha256(weights).hexdigest() != content["weights_sha256"]:
        raise GBMixError(f"{path} is truncated or was altered: its checksum does not fit")
    try:
        return load_tensors(weights)
    except safetensors.SafetensorError as error:
        raise GBMixError(f"{path} is no safetensors file ({error})") from error


def _versions() -> dict[str, str]:
    modules = {"numpy": np, "pandas": pd, "scikit-learn": sklearn, "torch": torch}
    return {"gbmix-sklearn": __version__} | {n: str(m.__version__) for n, m in modules.items()}


def _names(estimator: Any) -> list[str] | None:
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def _scalar(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, str | bool | int | float) else str(value)


def _plain(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: _to_json(name, value) for name, value in parameters.items()}


def _to_json(name: str, value: Any) -> Any:
    if isinstance(value, np.random.RandomState) or name == "callbacks":
        return None
    if name == "augment" and callable(value):
        return None
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Recipe):
        return {"recipe": asdict(value)}
    if isinstance(value, LearnedRecipe):
        return {"learned_recipe": asdict(value)}
    if isinstance(value, sklearn.base.BaseEstimator):
        if getattr(sklearn.linear_model, type(value).__name__, None) is not type(value):
            raise TypeError(f"{name}={value!r} cannot be saved; pickle the classifier instead")
        return {"linear_model": type(value).__name__, "parameters": _plain(value.get_params())}
    if isinstance(value, tuple | list | np.ndarray | pd.Index):
        return [_scalar(item) for item in value]
    if value is None or isinstance(value, str | bool | int | float | Integral | np.generic):
        return value if value is None else _scalar(value)
    raise TypeError(
        f"{name}={value!r} has no representation in JSON; pickle the classifier instead"
    )


def _from_json(value: Any) -> Any:
    if isinstance(value, dict) and "recipe" in value:
        return Recipe(**{name: _from_json(part) for name, part in value["recipe"].items()})
    if isinstance(value, dict) and "learned_recipe" in value:
        return LearnedRecipe(**value["learned_recipe"])
    if isinstance(value, dict):
        return getattr(sklearn.linear_model, value["linear_model"])(**value["parameters"])
    return tuple(value) if isinstance(value, list) else value


def _array_to_json(values: np.ndarray) -> dict[str, Any]:
    return {"dtype": values.dtype.str, "values": [_scalar(value) for value in values]}


def _array_from_json(saved: dict[str, Any]) -> np.ndarray:
    return np.array(saved["values"], dtype=np.dtype(saved["dtype"]))
