"""Names of columns as people type them."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

__all__ = ["check_columns", "match_columns", "nearest", "split_names"]

_LISTED = 20


def nearest(name: str, known: Sequence[str]) -> str:
    """Say which known name may be meant: ``; did you mean 'sex'?``, or nothing.

    Examples
    --------
    >>> nearest("Sxe", ["age", "sex"])
    "; did you mean 'sex'?"
    >>> nearest("height", ["age", "sex"])
    ''
    """
    folded = {other.casefold().strip(): other for other in reversed(known)}
    matches = get_close_matches(name.casefold().strip(), folded, n=1)
    return f"; did you mean {folded[matches[0]]!r}?" if matches else ""


def check_columns(names: Sequence[str], known: Sequence[str], where: str) -> None:
    """Check that columns are there.

    Raises
    ------
    ValueError
        If one is not; the message has the nearest name and all others.
    """
    for name in names:
        if name not in known:
            raise ValueError(
                f"{where} has no column {name!r}{nearest(name, known) or '.'} "
                f"Its columns are {_listed(known)}{_one_column_hint(known)}"
            )


def split_names(given: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    """Split ``["sex,race", "age"]`` at the commas, unless a name has commas itself.

    Examples
    --------
    >>> split_names(["sex, race", "income, net"], ["sex", "race", "income, net"])
    ['sex', 'race', 'income, net']
    """
    names: list[str] = []
    for text in given or []:
        parts = [text] if text in known else [part.strip() for part in text.split(",")]
        names += [part for part in parts if (part or text in known) and part not in names]
    return names


def match_columns(given: Sequence[str], known: Sequence[str], where: str) -> list[str]:
    """Columns with these names or patterns such as ``embedding_*``, in the order of the table.

    Raises
    ------
    ValueError
        If nothing fits one of them.
    """
    names = split_names(given, known)
    matched: set[str] = set()
    for name in names:
        found = [name] if name in known else [c for c in known if fnmatchcase(c, name)]
        if not found:
            check_columns([name], known, where)
        matched.update(found)
    return [column for column in known if column in matched]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:_LISTED]))
    rest = len(names) - _LISTED
    return shown + (f" and {rest} more" if rest > 0 else "")


def _one_column_hint(known: Sequence[str]) -> str:
    for separator, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(known) == 1 and separator in known[0]:
            cure = "call the file .tsv" if separator == "\t" else "save it with commas"
            return f". Its values seem to be separated by {name}: {cure}"
    return ""
