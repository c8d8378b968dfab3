"""Parameters of methods as people type them."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any

from ._columns import nearest
from ._options import PLAIN_METHODS, method_names

__all__ = ["find_method", "find_plain_method", "parse_settings"]

_NAMED = {"none": None, "null": None, "true": True, "false": False}
#: parameters that the command sets itself, and the option that is meant for them
_RESERVED = {
    "random_state": "--seed",
    "group_columns": "--groups",
    "backbone": "--backbone",
    "image_size": "--image-size",
    "image_root": "--root",
    "image_column": "--images",
    "device": "--device",
    "cache_dir": "--cache-dir",
    "verbose": "--quiet",
}
#: parameters that are Python objects, or that do not suit the command
_UNAVAILABLE = ("callbacks", "on_error")


def find_method(name: str) -> str:
    """Name of the class of a method, which may be written in any case, with or without hyphens.

    Raises
    ------
    ValueError
        If there is no such method; the message names all.

    Examples
    --------
    >>> find_method("balanced-mixup")
    'BalancedMixUpClassifier'
    """
    known = {_folded(method): method for method in method_names()}
    method = known.get(_folded(name.removesuffix("Classifier")))
    if method is None:
        names = [*method_names(), *PLAIN_METHODS]
        raise ValueError(
            f"there is no method {name!r}{nearest(name, names) or '.'} Methods are "
            f"{', '.join(names)}"
        )
    return f"{method}Classifier"


def find_plain_method(name: str) -> str | None:
    """Name of a method of scikit-learn's, as :func:`gbmix_sklearn.compare` has it; None of others.

    Examples
    --------
    >>> find_plain_method("Boosting-learned"), find_plain_method("minimax-boosting")
    ('boosting, learned', 'boosting, learned')
    >>> find_plain_method("GBMix")
    """
    known = {_folded(method): method for method in PLAIN_METHODS}
    folded = _folded(name)
    if folded.startswith("minimax"):  # what learns the weights is MinimaxClassifier
        folded = folded.removeprefix("minimax") + "learned"
    method = known.get(folded)
    if method is None:
        return None
    return method.replace("-learned", ", learned").replace("-ERM", " ERM")


def parse_settings(given: Sequence[str], known: Sequence[str]) -> dict[str, Any]:
    """Parse ``["alpha=2", "lr_schedule=cosine"]``.

    Raises
    ------
    ValueError
        If a setting has no value, or a name that is not known or not for this.

    Examples
    --------
    >>> parse_settings(["alpha=2", "patience=none", "lr_schedule=cosine"],
    ...                ["alpha", "patience", "lr_schedule"])
    {'alpha': 2, 'patience': None, 'lr_schedule': 'cosine'}
    """
    settable = [name for name in known if name not in (*_RESERVED, *_UNAVAILABLE)]
    settings: dict[str, Any] = {}
    for text in given:
        name, sign, value = (part.strip() for part in text.partition("="))
        if not sign or not name:
            raise ValueError(f"--set {text} has no value: write it as --set name=value")
        if name in _RESERVED:
            raise ValueError(f"--set {name}=... has an option of its own: {_RESERVED[name]}")
        if name not in settable:
            raise ValueError(
                f"--set {name}=... is no parameter of this method{nearest(name, settable) or '.'} "
                f"Its parameters are {', '.join(settable)}"
            )
        if name in settings:
            raise ValueError(f"--set {name}=... is given twice")
        settings[name] = _value(value)
    return settings


def _value(text: str) -> Any:
    if text.lower() in _NAMED:
        return _NAMED[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
