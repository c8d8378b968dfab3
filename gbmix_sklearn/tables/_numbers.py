"""Numbers as people write them: separators, currency and per cent signs, decimal commas."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["PLAIN", "NumberFormat", "find_format", "has_leading_zero", "looks_like_number"]

_CURRENCIES = "(?:EUR|USD|GBP|CHF|JPY|CNY|INR|KRW)"
#: blanks that typesetters put between thousands
_BLANKS = str.maketrans("\u00a0\u2007\u2009\u202f\u2212\u2019", "    -'")
#: separator of thousands and decimal sign, the likely ones first
_STYLES = ((",", "."), (".", ","), (" ", "."), (" ", ","), ("'", "."))
_UNIT = re.compile(rf"[%$\u00a2-\u00a5\u20a0-\u20cf]|(?:\b|(?<=\d)){_CURRENCIES}\b")
_LOOKS = re.compile(r"[-+(]*\d[\d.,' ]*\)?")


@dataclass(frozen=True)
class NumberFormat:
    """How the numbers of a column are written.

    Attributes
    ----------
    thousands, decimal : str
        What stands between thousands (may be missing in each number), and before decimals.
    unit : str
        A currency, which may be missing in each number, or ``%``, which may not.
    """

    thousands: str = ""
    decimal: str = "."
    unit: str = ""

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        grouped = rf"[1-9]\d{{0,2}}(?:{re.escape(self.thousands)}\d{{3}})+|" * bool(self.thousands)
        decimal = re.escape(self.decimal)
        exponent = "" if self.thousands else r"(?:[eE][-+]?\d+)?"
        return re.compile(rf"[-+]?(?:(?:{grouped}\d+)(?:{decimal}\d*)?|{decimal}\d+){exponent}")

    def parse(self, texts: Iterable[str]) -> np.ndarray:
        """Numbers, NaN where a text is none of this format.

        Examples
        --------
        >>> NumberFormat(",", ".", "$").parse(["$1,234.50", "-7", "1.234,5"])
        array([1234.5,   -7. ,    nan])
        """
        return np.array([self._parse_one(text) for text in texts], dtype=np.float64)

    def _parse_one(self, text: str) -> float:
        text = text.translate(_BLANKS)
        if self != PLAIN:
            if self.unit == "%" and text.count("%") != 1:
                return np.nan
            text = _bare(text, self.unit)
        if not self._pattern.fullmatch(text):
            return np.nan
        if self.thousands:
            text = text.replace(self.thousands, "")
        return float(text.replace(self.decimal, "."))


PLAIN = NumberFormat()


def find_format(texts: np.ndarray) -> NumberFormat | None:
    """Find the format that all texts have.

    A text that can be read in two ways, such as ``1,234``, has thousands.

    Parameters
    ----------
    texts : ndarray of str
        Distinct texts of a column.

    Returns
    -------
    NumberFormat or None
        None where there is none for all of them.

    Examples
    --------
    >>> import numpy as np
    >>> find_format(np.array(["12,5 %", "7 %"]))
    NumberFormat(thousands='.', decimal=',', unit='%')
    """
    units = {unit for text in texts for unit in _units(text)}
    if len(units) > 1:
        return None
    unit = units.pop() if units else ""
    for thousands, decimal in _STYLES:
        style = NumberFormat(thousands, decimal, unit)
        if not any(np.isnan(style._parse_one(text)) for text in texts):
            return style
    return None


def looks_like_number(text: str) -> bool:
    """Whether a text is digits, with or without separators and signs, and nothing else.

    Examples
    --------
    >>> [looks_like_number(text) for text in ("1,234", "45 %", "$ 7", "2+", "10-20", "A1")]
    [True, True, True, False, False, False]
    """
    if not any(map(str.isdigit, text)):
        return False
    text = text.translate(_BLANKS)
    for unit in _units(text):
        text = _bare(text, unit)
    return bool(_LOOKS.fullmatch(text))


def has_leading_zero(text: str) -> bool:
    """Whether a text is a code such as ``007``, which is no number.

    Examples
    --------
    >>> has_leading_zero("007"), has_leading_zero("0.7"), has_leading_zero("0")
    (True, False, False)
    """
    return bool(re.match(r"[-+]?0\d", text))


def _units(text: str) -> list[str]:
    return _UNIT.findall(text)


def _bare(text: str, unit: str) -> str:
    """Without its unit; in the books of accountants brackets are a minus."""
    if unit:
        text = text.replace(unit, "", 1).strip()
    if text.startswith("(") and text.endswith(")"):
        text = f"-{text[1:-1].strip()}"
    return re.sub(r"^([-+])\s+", r"\1", text)
