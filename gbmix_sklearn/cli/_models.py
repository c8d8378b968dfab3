"""Models as folders: a classifier and what its data looked like, without anything executable."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._files import TEMPORARY, umask
from ..tables import Schema

__all__ = ["PIPELINE", "Model", "check_model_folder", "write_folder"]

_FORMAT = 2
#: beside the files that the classifier saves
_DATA = "data.json"
#: a Pipeline of scikit-learn's, which is code and not read by any command
PIPELINE = "model.joblib"


@dataclass(frozen=True)
class Model:
    """A fitted classifier with the names and the encoding of its columns.

    Attributes
    ----------
    classifier : classifier
        One of this package.
    target : str
        Column of the class.
    groups : list of str
        Columns of sensitive attributes.
    features : Schema or None
        The columns of a table that it predicts from, and what they hold.
    images : str or None
        Or the column with paths of images.
    """

    classifier: Any
    target: str
    groups: list[str]
    features: Schema | None = None
    images: str | None = None

    def save(self, folder: Path) -> None:
        """Save to a folder: all of it or nothing; an older model there is replaced."""
        write_folder(folder, self._write)

    def _write(self, folder: Path) -> None:
        self.classifier.save(folder)
        (folder / _DATA).write_text(json.dumps(self._description(), indent=1), encoding="utf-8")

    def _description(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "target": self.target,
            "groups": self.groups,
            "images": self.images,
            "features": None if self.features is None else self.features.to_json(),
        }

    @classmethod
    def load(cls, folder: Path, device: str) -> Model:
        """Load a model that `save` has written.

        Raises
        ------
        FileNotFoundError
            If there is none.
        ValueError
            If it is not one of ``gbmix fit``, or damaged.
        """
        if not (folder / "model.json").exists():
            raise FileNotFoundError(f"{folder} holds no model of gbmix fit")
        if not (folder / _DATA).exists():
            raise ValueError(
                f"the model in {folder} was saved by Python code and does not say what its columns "
                "are: use it there, with gbmix_sklearn.load_model"
            )
        try:
            saved = json.loads((folder / _DATA).read_bytes())
            if saved["format"] != _FORMAT:
                raise ValueError(
                    f"it has format {saved['format']}, and this version reads {_FORMAT}: fit the "
                    "model again"
                )
            features = saved["features"]
            options = {
                "target": saved["target"],
                "groups": saved["groups"],
                "images": saved["images"],
                "features": None if features is None else Schema.from_json(features),
            }
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{folder / _DATA} cannot be used: {error}") from error

        from ..persistence import load_model

        return cls(load_model(folder, device=device), **options)


def check_model_folder(folder: Path, overwrite: bool) -> None:
    """Check that a model may be written, before it is trained.

    Raises
    ------
    FileExistsError
        If something is there that is not to be replaced.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not any((folder / name).exists() for name in ("model.json", PIPELINE)):
        raise FileExistsError(f"{folder} exists and is no model; name another folder")
    if not overwrite:
        raise FileExistsError(f"{folder} holds a model already; --overwrite replaces it")


def write_folder(folder: Path, write: Callable[[Path], Any]) -> None:
    """Write a folder: all of it or nothing; an older one of that name is replaced."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=TEMPORARY))
    try:
        write(new)
        new.chmod(0o777 & ~umask())
        _replace(folder, new)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _replace(folder: Path, new: Path) -> None:
    """Give a new folder the name of an old one, which is put back if that fails."""
    if not folder.exists():
        new.rename(folder)
        return
    old = new.with_name(f"{new.name}-old")
    folder.rename(old)
    try:
        new.rename(folder)
    except BaseException:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
