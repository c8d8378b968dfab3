"""Balanced methods whose balance may be learned while they train."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.utils._param_validation import StrOptions

from ..exceptions import GroupsError
from ..groups import Cells
from ..sampling import GroupBalancedSampler, PairedSampler
from ..training import CellShares, GroupNet
from ._base import GroupClassifier
from ._inputs import Validation
from ._training import Training

__all__ = ["BalancesCells"]


@dataclass(eq=False, repr=False)
class BalancesCells(GroupClassifier):
    """Base of the methods whose batches have equal shares of the cells, or learned ones.

    A subclass documents `cell_shares`.
    """

    _: KW_ONLY
    cell_shares: Literal["equal", "learned"] = "equal"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **GroupClassifier._parameter_constraints,
        "cell_shares": [StrOptions({"equal", "learned"})],
    }

    def _why_no_cells(self) -> str | None:
        """Which parameter makes the batches balanced by something else than cells, if any."""
        return None

    def _check_parameters(self) -> None:
        super()._check_parameters()
        other = self._why_no_cells()
        if self.cell_shares == "learned" and other is not None:
            raise ValueError(
                f"cell_shares='learned' moves the shares of cells, and with {other} batches are "
                "not balanced by cell: change one of them"
            )

    def _check_parts(
        self, cells: Cells, parts: dict[str, np.ndarray], validation: Validation | None
    ) -> None:
        super()._check_parts(cells, parts, validation)
        if self.cell_shares == "equal":
            return
        if validation is None and not len(parts.get("validation_fraction", ())):
            raise ValueError(
                "cell_shares='learned' goes by errors on validation samples, and there are none: "
                "set validation_fraction, give X_val to fit, or set cell_shares='equal'"
            )
        if (
            validation is not None
            and validation.attribute is None
            and not cells.attribute.is_absent
        ):
            raise GroupsError(
                "cell_shares='learned' goes by errors of the cells on validation samples, and "
                "X_val came without groups_val: give it, or set cell_shares='equal'"
            )

    def _train(self, training: Training) -> GroupNet:
        criterion = self._make_criterion(training.cells)
        sampler = self._make_sampler(training.cells, training.rng)
        callbacks = []
        if self.cell_shares == "learned":
            assert isinstance(sampler, GroupBalancedSampler | PairedSampler)
            start = (training.cells.counts > 0).astype(np.float64)
            callbacks.append(("cell_shares", CellShares(start, sampler)))
        return training.run(criterion, sampler, callbacks=callbacks)
