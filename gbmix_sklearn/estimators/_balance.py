"""What methods share that balance either groups or classes."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.utils._param_validation import StrOptions

from ..groups import Cells
from ._base import GroupClassifier

__all__ = ["Balanced"]


@dataclass(eq=False, repr=False)
class Balanced(GroupClassifier):
    """Base of the methods whose parameter `balance` says what is balanced.

    A subclass documents `balance`, and sets its own default.
    """

    _: KW_ONLY
    balance: Literal["group", "class"] = "group"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **GroupClassifier._parameter_constraints,
        "balance": [StrOptions({"group", "class"})],
    }

    @property
    def _groups_policy(self) -> Literal["require", "optional"]:  # type: ignore[override]
        """Groups cannot be balanced unseen; classes can."""
        return "require" if self.balance == "group" else "optional"

    def _balanced_codes(self, cells: Cells) -> np.ndarray:
        """Code, for each sample, of what is balanced: its cell or its class."""
        return cells.codes if self.balance == "group" else cells.y
