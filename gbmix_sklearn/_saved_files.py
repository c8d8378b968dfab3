"""The files of a saved model, which several processes may write and read at once.

The weights are written first, under a name that no other save has; replacing ``model.json`` is the
single step that makes a saved model the current one. Savers take turns where there are locks, and
then delete what the killed ones left; elsewhere whoever replaces ``model.json`` deletes the weights
that the replaced one named, and what is a day old. So a save that is killed leaves the old model as
it was, and of two at once one wins.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import time
from typing import Any, TypeVar
from uuid import uuid4

from ._files import TEMPORARY, disk_named, locked, read_plain, replace_file, sweep
from .exceptions import GBMixError

__all__ = [
    "FORMAT",
    "MODEL",
    "check_folder",
    "is_of_a_save",
    "read_content",
    "read_current",
    "read_weights",
    "remove_model",
    "write_model",
]

FORMAT = 3
MODEL = "model.json"
_WEIGHTS = re.compile(r"weights-[0-9a-f]{16}(-[0-9a-f]{8})?\.safetensors")
#: bytes of ``model.json``; its largest part is the history, of some hundred bytes an epoch
_MOST = 64 << 20
#: seconds after which weights that no model names were left behind, and are not about to be named
_DEAD = 86400

Read = TypeVar("Read")


def remove_model(folder: Path) -> None:
    """Remove a saved model, and nothing else that lies in its folder."""
    weights = _named_weights(folder)
    for name in (MODEL, weights):
        if name is not None:
            (folder / name).unlink(missing_ok=True)


def check_folder(folder: Path, beside: tuple[str, ...] = ()) -> None:
    """Check that a model may be saved to a folder, in which files named `beside` do not matter.

    Raises
    ------
    FileExistsError
        If it is a file, or holds something else than a model or what a killed save left.
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; give the name of a folder to save to")
    if folder.is_dir() and not (folder / MODEL).exists():
        names = {path.name for path in folder.iterdir()} - {*beside}
        if not all(map(is_of_a_save, names)):
            raise FileExistsError(f"{folder} holds other files; give a new or empty folder")


def is_of_a_save(name: str) -> bool:
    """Whether a file is named as the parts of a save that was killed."""
    half = name.startswith(".") and name.endswith(TEMPORARY)
    return half or _WEIGHTS.fullmatch(name) is not None


def write_model(folder: Path, content: dict[str, Any], weights: bytes) -> None:
    """Write a model: all of it, or nothing of it.

    Parameters
    ----------
    folder : Path
        Is made where it is missing.
    content : dict
        All but the weights; their names and checksum are added.
    weights : bytes
        In the format of safetensors.
    """
    digest = hashlib.sha256(weights).hexdigest()
    name = f"weights-{digest[:16]}-{uuid4().hex[:8]}.safetensors"
    content = content | {"weights": name, "weights_sha256": digest}
    text = json.dumps(content, indent=1)
    document = {
        "format": FORMAT,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "content": content,
    }
    is_new = not folder.exists()
    with disk_named(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder) as alone:
            replace_file(folder / name, lambda file: file.write(weights))
            replaced = _named_weights(folder)
            replace_file(
                folder / MODEL, lambda file: file.write(json.dumps(document, indent=1).encode())
            )
            _tidy(folder, name, replaced, alone)
    except BaseException:
        with suppress(OSError):
            if _named_weights(folder) != name:
                (folder / name).unlink()
        if is_new:
            with suppress(OSError):  # somebody else has begun to save there
                folder.rmdir()
        raise


def _named_weights(folder: Path) -> str | None:
    try:
        name = json.loads(read_plain(folder / MODEL, _MOST))["content"]["weights"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None  # none yet, or a damaged one: its weights are swept a day later
    return name if isinstance(name, str) and _WEIGHTS.fullmatch(name) else None


def _tidy(folder: Path, current: str, replaced: str | None, alone: bool) -> None:
    """Delete the weights that were replaced, and what killed saves left."""
    sweep(folder)
    for path in [*folder.glob("weights-*"), *folder.glob(f".weights-*{TEMPORARY}")]:
        with suppress(OSError):  # open elsewhere on Windows
            if path.name == current or not is_of_a_save(path.name):
                continue
            # nobody else is about to name them: there is a lock, or they are a day old
            dead = alone or path.stat().st_mtime < time() - _DEAD
            if path.name == replaced or dead:
                path.unlink()


def read_current(folder: Path, read: Callable[[dict[str, Any]], Read]) -> Read:
    """Read a model's content, and then what `read` reads by it.

    It is done once more where another process has replaced the model in between.
    """
    content = read_content(folder)
    while True:
        try:
            return read(content)
        except GBMixError:
            again = read_content(folder)
            if again.get("weights") == content.get("weights"):
                raise
            content = again


def read_content(folder: Path) -> dict[str, Any]:
    """Read ``model.json`` and check that it is whole.

    Raises
    ------
    FileNotFoundError
        If there is none.
    GBMixError
        If it is damaged, or of another version.
    """
    path = folder / MODEL
    try:
        document = json.loads(read_plain(path, _MOST))
        version, digest, content = document["format"], document["sha256"], document["content"]
        if version != FORMAT:
            raise GBMixError(
                f"{path} has format {_short(version)}, and this version reads format {FORMAT}"
            )
        found = hashlib.sha256(json.dumps(content, indent=1).encode()).hexdigest()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{folder} holds no saved model: there is no {path.name} in it"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise GBMixError(
            f"{path} is truncated or not a saved model ({type(error).__name__}: {error})"
        ) from error
    if found != digest:
        raise GBMixError(f"{path} was altered after it was saved: its checksum does not fit")
    if not isinstance(content, dict):
        raise GBMixError(f"{path} is not a saved model")
    return content


def read_weights(folder: Path, content: dict[str, Any]) -> bytes:
    """Read the weights that belong to a content, and check that they are whole.

    Raises
    ------
    GBMixError
        If they are missing or damaged.
    """
    name = content.get("weights")
    if not isinstance(name, str) or not _WEIGHTS.fullmatch(name):
        raise GBMixError(f"{folder / MODEL} names no file of weights, but {_short(name)}")
    path = folder / name
    try:
        weights = read_plain(path)
    except FileNotFoundError as error:
        raise GBMixError(f"{folder} is incomplete: {path.name} is missing") from error
    except OSError as error:
        raise GBMixError(f"{path} cannot be read: {error}") from error
    if hashlib.sha256(weights).hexdigest() != content.get("weights_sha256"):
        raise GBMixError(f"{path} is truncated or was altered: its checksum does not fit")
    return weights


def _short(value: Any) -> str:
    return repr(value)[:60]
