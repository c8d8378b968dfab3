"""Whether what a saved model says of itself can be true, before anything is built from it.

A file may come from a stranger: its types, its ranges, and above all its sizes, which the weights
must bear out, are checked first. The same checks hold when a model is saved, so that what is saved
can be loaded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from .backbones import create_embedding

__all__ = ["check_backbone", "check_content", "check_finite", "check_layers", "check_table"]

_PREPROCESS = {"input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode"}
_NAMED = {
    "interpolation": ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"),
    "crop_mode": ("center", "squash", "border"),
}
_DTYPES = ("float32", "bfloat16", "float16")
#: pixels of a side that a backbone may be said to see
_MOST_PIXELS = 8192
#: how many more weights a backbone may have than the file: none, bar parts that are not used
_SLACK = 1.5


def check_content(content: Mapping[str, Any], own_results: tuple[str, ...]) -> None:
    """Check types and ranges of what is no parameter.

    Raises
    ------
    ValueError, KeyError, TypeError
        If they are wrong; the message says what.
    """
    for name in ("n_hidden_inputs", "n_embedding"):
        _check(_is_count(content[name], 1), name)
    _check(content["n_features_in"] is None or _is_count(content["n_features_in"], 1), "features")
    _check(_is_list(content["input_shape"], lambda n: _is_count(n, 1)), "input_shape")
    names = content["feature_names_in"]
    _check(names is None or _is_list(names, lambda name: isinstance(name, str)), "names")
    if names is not None:
        _check(len(names) == content["n_features_in"], "feature_names_in")
    _check(isinstance(content["group_columns"], list), "group_columns")
    check_table(content["groups"])
    if "cell_table" in content:  # later than the format
        counts = dict.fromkeys(("train", "validation", "refit"), _is_count)
        check_table(content["cell_table"], **counts, note=lambda note: isinstance(note, str))
    epochs = content["epochs"]
    _check(_is_list(epochs, lambda epoch: isinstance(epoch, dict)), "epochs")
    _check(_is_count(content["best_epoch"]) and content["best_epoch"] <= len(epochs), "best_epoch")
    history = content["history"]
    _check(isinstance(history, dict) and all(map(_is_column, history.values())), "history")
    _check(len({len(column) for column in history.values()}) <= 1, "history")
    for name in ("lr", "weight_decay"):
        _check(_is_number(content["steps"][name]) and content["steps"][name] >= 0, name)
    for name in own_results:
        _check(type(content["own_results"][name]) in (int, float, type(None)), name)


def check_table(saved: Mapping[str, Any], **columns: Callable[[Any], bool]) -> None:
    """Check a table of cells that has these columns, by default counts and shares.

    Raises
    ------
    ValueError, KeyError, TypeError
        If it is none.
    """
    columns = columns or {"count": _is_count, "share": _is_number}
    names, cells = saved["names"], saved["cells"]
    _check(_is_list(names, lambda name: isinstance(name, str)) and len(names) > 1, "cells")
    is_cell = _is_list(cells, lambda cell: isinstance(cell, list) and len(cell) == len(names))
    _check(is_cell and len(cells) > 0, "cells")
    _check(set(saved) == {"names", "cells", *columns}, "cells")
    for name, is_right in columns.items():
        _check(_is_list(saved[name], is_right) and len(saved[name]) == len(cells), name)


def check_layers(
    content: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
    *,
    hidden_units: Any,
    n_classes: int,
    trains_backbone: bool,
) -> None:
    """Check that the weights have the sizes that parameters and content speak of.

    Raises
    ------
    ValueError, KeyError
        If they have not.
    """
    n_features, n_embedding = content["n_hidden_inputs"], content["n_embedding"]
    # behind a trained backbone come what flattens its outputs, and the hidden layers
    place = 2 if trains_backbone else 0
    width = n_features
    for number, units in enumerate(hidden_units):
        name = f"net.embedding.{place}.{2 * number}.weight"
        _check_shape(tensors, name, (units, width))
        width = units
    _check(width == n_embedding, f"an embedding of {n_embedding} numbers after {width}")
    n_rows = 1 if n_classes == 2 else n_classes
    _check_shape(tensors, "net.head.weight", (n_classes, width))
    _check_shape(tensors, "net.head.bias", (n_classes,))
    _check_shape(tensors, "head.coef_", (n_rows, width))
    _check_shape(tensors, "head.intercept_", (n_rows,))
    if content["backbone"] is None:
        _check(tuple(content["input_shape"]) == (n_features,), "the shape of samples")


def _check_shape(tensors: Mapping[str, torch.Tensor], name: str, shape: tuple[int, ...]) -> None:
    found = tuple(tensors[name].shape) if name in tensors else "nothing"
    _check(found == shape, f"{name} of shape {shape}, where the weights have {found}")
    _check(tensors[name].is_floating_point(), f"{name} of {tensors[name].dtype}")


def check_finite(tensors: Mapping[str, torch.Tensor]) -> None:
    """Check that no weight is NaN, and those of the last layer are finite.

    Raises
    ------
    ValueError
        Naming the weight.
    """
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            continue
        # infinity may stand in buffers, such as masks
        wrong = ~tensor.isfinite() if name.startswith("head.") else tensor.isnan()
        if bool(wrong.any()):
            raise ValueError(f"{name} has NaN or infinite weights")


def check_backbone(
    described: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], image_size: int | None
) -> None:
    """Check the description of a timm model; that it exists, and is no larger than its weights.

    Raises
    ------
    ValueError, KeyError, TypeError
        If it does not, or is.
    """
    name, preprocess = described["name"], described["preprocess"]
    _check(isinstance(name, str), "backbone")
    _check(isinstance(described["is_cut"], bool) and described["dtype"] in _DTYPES, "backbone")
    _check(set(preprocess) == _PREPROCESS, f"a preprocessing by {sorted(preprocess)}")
    size = preprocess["input_size"]
    _check(_is_list(size, lambda n: _is_count(n, 1)) and len(size) == 3, "input_size")
    _check(max(size[1:]) <= _MOST_PIXELS, f"images of {size}")
    _check(image_size is None or size[1:] == [image_size] * 2, f"image_size={image_size}")
    for part in ("mean", "std"):
        values = preprocess[part]
        _check(_is_list(values, _is_number) and len(values) == size[0], part)
    _check(min(preprocess["std"]) > 0, "std")
    _check(_is_number(preprocess["crop_pct"]) and 0.1 <= preprocess["crop_pct"] <= 1, "crop_pct")
    for part, known in _NAMED.items():
        _check(preprocess[part] in known, part)
    try:
        with torch.device("meta"):  # which takes no memory
            model, _ = create_embedding(name, pretrained=False, image_size=image_size)
    except RuntimeError:  # some models of older timm compute with tensors while they are built
        return
    expected = sum(tensor.numel() for tensor in model.state_dict().values())
    saved = sum(tensor.numel() for tensor in tensors.values())
    _check(expected <= _SLACK * saved, f"{name} of {expected:,} weights, and there are {saved:,}")


def _check(good: bool, what: str) -> None:
    if not good:
        raise ValueError(f"it speaks of {what}, which cannot be")


def _is_count(value: Any, low: int = 0) -> bool:
    return type(value) is int and low <= value < 2**63


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_list(value: Any, good: Any) -> bool:
    return isinstance(value, list) and all(map(good, value))


def _is_column(value: Any) -> bool:
    return _is_list(value, lambda v: v is None or isinstance(v, str | bool | int | float))
