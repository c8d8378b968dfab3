"""Automatic feature reweighting: ERM, then a last layer that attends to its errors.

Qiu et al., "Simple and Fast Group Robustness by Automatic Feature Reweighting", ICML 2023,
https://arxiv.org/abs/2306.11074
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.utils._param_validation import Interval, StrOptions

from ..groups import Cells
from ..refit import afr_head
from ._docs import document
from ._erm import ERMClassifier

__all__ = ["AFRClassifier"]


@document
@dataclass(eq=False, repr=False)
class AFRClassifier(ERMClassifier):
    """Automatic feature reweighting: ERM, then a last layer that attends to its errors.

    The trained model weighs the samples that were set aside: ``exp(-gamma * p) / n_y``, with p its
    probability of the true class and n_y the size of the class. The last layer then descends, from
    where it was trained, on the weighted cross-entropy. That is ``refit="afr"``, the default; the
    other values of `refit` take its place. Groups are used for selection only, where they are
    given; without them the worst class selects.

    Parameters
    ----------
    <common parameters>
    gamma : "auto", float or array-like, default="auto"
        How much the weights depend on the trained model. Of several values the worst group of the
        validation part chooses; "auto" has 14 from 1 to 20. The paper searches 33 from 4 to 20 on
        Waterbirds, 10 from 1 to 3 on CelebA.
    reg_coeff : float or array-like, default=0.0
        The paper's lambda, a pull towards the trained weights; several values are searched together
        with `gamma`. The paper searches (0, 0.1, 0.2, 0.3) on Waterbirds, (0.001, 0.01, 0.1) on
        CelebA.
    refit_steps : int, default=500
        Steps of the descent; the paper takes 500 on Waterbirds, 1000 on CelebA.
    refit_lr : float, default=0.01
        Length of these steps; the paper takes 0.01 on Waterbirds, 0.02 on CelebA.

    Attributes
    ----------
    <common attributes>
    gamma_ : float
        The chosen gamma; NaN where there was no such refit.
    reg_coeff_ : float
        The chosen `reg_coeff`.

    See Also
    --------
    DFRClassifier : A refit that knows the groups.
    JTTClassifier : Two stages without groups, of which the second trains anew.

    Notes
    -----
    Worst-group accuracy with a ResNet-50 in the paper: 90.4 ± 1.1 on Waterbirds, 82.0 ± 0.5 on
    CelebA. Its code also chooses the step at which the descent ends by the validation data; here
    all steps are run.

    References
    ----------
    Qiu, Potapczynski, Izmailov and Wilson, "Simple and Fast Group Robustness by Automatic Feature
    Reweighting", ICML 2023, https://arxiv.org/abs/2306.11074

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from gbmix_sklearn import AFRClassifier
    >>> X, y = make_classification(400, random_state=0)
    >>> AFRClassifier(random_state=0).fit(X, y).score(X, y) > 0.8
    True
    """

    _: KW_ONLY
    refit: Any = "afr"
    gamma: Any = "auto"
    reg_coeff: Any = 0.0
    refit_steps: int = 500
    refit_lr: float = 0.01

    _refits: ClassVar[tuple[str, ...]] = (*ERMClassifier._refits, "afr")
    _own_results: ClassVar[tuple[str, ...]] = ("gamma_", "reg_coeff_")
    _refit_parameters: ClassVar[tuple[str, ...]] = (
        *ERMClassifier._refit_parameters,
        *("gamma", "reg_coeff", "refit_steps", "refit_lr"),
    )

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **ERMClassifier._parameter_constraints,
        "refit": [*ERMClassifier._parameter_constraints["refit"], StrOptions({"afr"})],
        "gamma": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left"), "array-like"],
        "reg_coeff": [Interval(Real, 0, None, closed="left"), "array-like"],
        "refit_steps": [Interval(Integral, 1, None, closed="left")],
        "refit_lr": [Interval(Real, 0, None, closed="neither")],
    }

    def _check_parameters(self) -> None:
        super()._check_parameters()
        for name in ("gamma", "reg_coeff"):
            values = getattr(self, name)
            if not isinstance(values, str) and not (np.size(values) and np.min(values) >= 0):
                raise ValueError(
                    f"{name} must be numbers of at least 0, such as [1, 4, 16], got {values!r}"
                )

    @property
    def _refit_source(self) -> str:
        """Samples that the model has not seen: its errors on the others say nothing."""
        own = isinstance(self.refit, str) and self.refit == "afr" and self.refit_on == "auto"
        return "held_out" if own else super()._refit_source

    def _set_head(self, *sources: Any) -> None:
        self.gamma_ = self.reg_coeff_ = float("nan")
        super()._set_head(*sources)

    def _refit_head(
        self,
        z: np.ndarray,
        cells: Cells,
        *,
        validation: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
        trained: LogisticRegression,
        rng: np.random.Generator,
        **others: Any,
    ) -> Any:
        if not isinstance(self.refit, str) or self.refit != "afr":
            return super()._refit_head(
                z, cells, validation=validation, trained=trained, rng=rng, **others
            )
        head, self.gamma_, self.reg_coeff_ = afr_head(
            z,
            cells.y,
            cells.codes,
            trained=trained,
            validation=validation,
            gamma=self.gamma,
            reg_coeff=self.reg_coeff,
            n_steps=self.refit_steps,
            lr=self.refit_lr,
            rng=rng,
        )
        return head
