"""Models as folders: a classifier and what its data looked like, without anything executable.

The description of the data is part of ``model.json``, so that both are replaced in one step;
``data.json`` has it once more, for other programs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .._files import read_plain, replace_file
from ..exceptions import GBMixError
from ..tables import Schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PIPELINE", "Model", "check_model_folder", "write_pipeline"]

_FORMAT = 2
#: beside the files that the classifier saves
_DATA = "data.json"
#: a Pipeline of scikit-learn's, which is code and not read by any command
PIPELINE = "model.joblib"
#: bytes of the description, which has the categories of all columns
_MOST = 64 << 20
#: what wrong types and values in a description lead to
_WRONG = (
    OSError,
    ArithmeticError,
    AttributeError,
    KeyError,
    RecursionError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Model:
    """A fitted classifier with the names and the encoding of its columns.

    Attributes
    ----------
    classifier : classifier
        One of this package, or a PlainClassifier.
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

    def numbers(self, frame: pd.DataFrame, where: str) -> Any:
        """Read rows of a table as the classifier takes them."""
        from ._features import numbers_for

        assert self.features is not None
        codes = getattr(self.classifier, "takes_codes", False)
        return numbers_for(self.features, frame, where, codes=codes)

    def save(self, folder: Path) -> None:
        """Save to a folder: all of it or nothing; an older model there is replaced."""
        from ..persistence import write_classifier

        description = self._description()
        write_classifier(self.classifier, folder, description, beside=(_DATA, PIPELINE))
        sealed = description | {"sha256": _checksum(description)}
        text = json.dumps(sealed, indent=1).encode()
        replace_file(folder / _DATA, lambda file: file.write(text))
        with suppress(FileNotFoundError):  # what this replaces
            (folder / PIPELINE).unlink()

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
        from ..persistence import read_classifier

        classifier, description = read_classifier(folder, device)
        if description is None:
            raise ValueError(
                f"the model in {folder} was saved by Python code and does not say what its columns "
                "are: use it there, with gbmix_sklearn.load_model"
            )
        try:
            _check_copy(folder / _DATA)
            options = _options(description)
        except _WRONG as error:
            raise GBMixError(f"{folder / _DATA} cannot be used: {error}") from error
        return cls(classifier, **options)


def _checksum(description: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(description, indent=1).encode()).hexdigest()


def _other_format(found: Any) -> str:
    return f"format {found!r}, and this version reads {_FORMAT}: fit the model again"


def _check_copy(path: Path) -> None:
    """Refuse a description that somebody has changed, since another one counts.

    One that is whole but of another model was left by a save that was killed.
    """
    try:
        copy = json.loads(read_plain(path, _MOST))
    except FileNotFoundError:
        return
    digest = copy.pop("sha256", None)
    if copy["format"] != _FORMAT:
        raise ValueError(_other_format(copy["format"]))
    if digest != _checksum(copy):
        raise ValueError("it was altered after it was saved")


def _options(description: dict[str, Any]) -> dict[str, Any]:
    """Read a description, of which every type is checked."""
    if description["format"] != _FORMAT:
        raise ValueError(_other_format(description["format"]))
    target, groups, images = (description[name] for name in ("target", "groups", "images"))
    features = description["features"]
    names = [target, *groups, *([] if images is None else [images])]
    if not isinstance(groups, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("names of columns must be text")
    if (images is None) == (features is None):
        raise ValueError("a model predicts either from features or from images")
    return {
        "target": target,
        "groups": groups,
        "images": images,
        "features": None if features is None else Schema.from_json(features),
    }


def check_model_folder(folder: Path, overwrite: bool) -> None:
    """Check that a model may be written, before it is trained.

    Raises
    ------
    FileExistsError
        If something is there that is not to be replaced.
    """
    if any((folder / name).exists() for name in ("model.json", PIPELINE)):
        if not overwrite:
            raise FileExistsError(f"{folder} holds a model already; --overwrite replaces it")
        return
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} exists and is no model; name another folder")
    from .._saved_files import is_of_a_save

    if folder.is_dir() and not all(is_of_a_save(path.name) for path in folder.iterdir()):
        raise FileExistsError(f"{folder} exists and is no model; name another folder")


def write_pipeline(folder: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a Pipeline in the place of any model that is there."""
    from .._saved_files import remove_model

    replace_file(folder / PIPELINE, write)
    remove_model(folder)
    with suppress(FileNotFoundError):
        (folder / _DATA).unlink()
