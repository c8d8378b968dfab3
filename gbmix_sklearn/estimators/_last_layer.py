"""The last layer of a classifier: as trained, or fitted anew."""

from __future__ import annotations

import warnings
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from .._log import is_told, tell
from .._sparse import stack_rows
from ..exceptions import SmallCellWarning
from ..groups import Cells
from ..model_selection._units import Units
from ..refit import (
    LearnedHead,
    LearnedRecipe,
    deal_out,
    find_recipe,
    learned_head,
    linear_head,
    refit_head,
    scaled_by_training,
    scaling_of,
)
from ..training import EvaluationSource, SparseInputs, embed_in_batches
from ._inputs import Validation
from ._parameters import Parameters
from ._prediction import Prediction
from ._pretrained import Start, state_of

__all__ = ["LastLayer"]


class LastLayer(Parameters, Prediction):
    """What `refit` and `refit_on` mean."""

    cell_weights_: pd.Series | None
    refit_history_: pd.DataFrame | None

    def _check_parts(
        self, cells: Cells, parts: dict[str, np.ndarray], validation: Validation | None
    ) -> None:
        """Say where there is too little to refit the last layer on."""
        if self._refit is None or self._refit_source == "train":
            return
        if self._refit_source == "held_out":
            y = cells.y[parts["refit_fraction"]]
        elif validation is not None:
            y = validation.codes
        elif "validation_fraction" in parts:
            y = cells.y[parts["validation_fraction"]]
        else:
            raise ValueError(
                "refit_on='validation' needs validation data: set validation_fraction, or give "
                "X_val to fit"
            )
        if len(np.unique(y)) < 2:
            warnings.warn(
                f"the last layer is not refitted: of the {len(y)} sample(s) for that, none are of "
                "a second class. Give more data, or raise "
                + ("refit_fraction" if self._refit_source == "held_out" else "validation_fraction"),
                SmallCellWarning,
                stacklevel=4,
            )

    def _set_head(
        self,
        train: EvaluationSource,
        part: EvaluationSource | None,
        valid: EvaluationSource | None,
        rng: np.random.Generator,
        units: Units | None,
        start: Start | None,
    ) -> None:
        """Refit the last layer on a part of the data, or take it from the net.

        `start` is a pretrained network before the training: where a last layer on its embedding is
        better for the worst cell on samples that neither was trained on, it is kept.
        """
        network = self.net_.raw_module
        weight, bias = network.head_weights
        trained = linear_head(weight, bias, self.classes_)
        self.cell_weights_ = self.refit_history_ = None
        self._is_refitted = part is not None and len(np.unique(part.samples.y)) > 1
        if part is None or not self._is_refitted:
            self.head_ = trained
            return

        def embed(source: EvaluationSource) -> Any:
            if network.embedding is None and isinstance(source.inputs, SparseInputs):
                return source.inputs.x[source.rows]
            dtype = self._backbone.dtype
            return embed_in_batches(network.embedding, source.inputs, source.rows, dtype)

        recipe = find_recipe(self._refit)
        if isinstance(recipe, LearnedRecipe):
            sources = [part]
            if (
                valid is not None
                and valid is not part
                and self._knows_groups_of(valid, train.samples)
            ):
                sources.append(valid)

            def learn(
                sources: list[EvaluationSource],
                trained: LogisticRegression | None,
                what: str = "refit",
                known: np.ndarray | None = None,
            ) -> LearnedHead:
                """Embeddings of the first source may be known."""
                of_others = [source is not train for source in sources]
                z = [embed(source) for source in sources[0 if known is None else 1 :]]
                return self._learn_head(
                    stack_rows(z if known is None else [known, *z]),
                    reduce(Cells.followed_by, [source.samples for source in sources]),
                    recipe=recipe,
                    # it knows the training part: near it, errors there would say nothing
                    trained=trained if any(of_others) else None,
                    unseen=np.repeat(of_others, [len(source) for source in sources]),
                    units=_units_of(sources, train, units),
                    rng=rng,
                    what=what,
                )

            found = learn(sources, trained)
            if start is not None and sources != [train]:
                state = state_of(network)
                network.load_state_dict(start.state)
                what = "refit of the pretrained embedding"
                if self._refit_source == "validation":
                    before = learn(sources, None, what)
                else:  # it was not trained on labels: the training part may be refitted on
                    others = [source for source in sources if source is not train]
                    before = learn([train, *others], None, what, start.z)
                self._tell_start(before, found)
                if before.worst <= found.worst:
                    found = before
                    self.net_.best_epoch_, self.net_.best_state_ = 0, start.state
                else:
                    network.load_state_dict(state)
            self.head_ = found.head
            self.cell_weights_, self.refit_history_ = found.cell_weights, found.rounds
            return
        chosen_on = None
        if valid is not None and valid is not part:
            chosen_on = (embed(valid), valid.samples.y, valid.samples.codes)
        scaling = None
        if scaled_by_training(self._refit):
            scaling = scaling_of(embed(train))
        z = embed(part)
        self.head_ = self._refit_head(
            z,
            part.samples,
            validation=chosen_on,
            scaling=scaling,
            trained=trained,
            units=_units_of([part], train, units),
            rng=rng,
        )

    @staticmethod
    def _knows_groups_of(valid: EvaluationSource, train: Cells) -> bool:
        """Whether validation data came with groups where the training data have some."""
        return train.attribute.is_absent or not valid.samples.attribute.is_absent

    def _learn_head(
        self,
        z: np.ndarray,
        cells: Cells,
        *,
        recipe: LearnedRecipe,
        trained: LogisticRegression | None,
        unseen: np.ndarray,
        units: np.ndarray | None,
        rng: np.random.Generator,
        what: str,
    ) -> LearnedHead:
        """Fit the last layer on samples weighted as held-out errors ask for."""

        def tell_round(C: float, near: str, number: int, worst: float, average: float) -> None:
            if is_told(self.verbose):
                facts = {"round": number + 1, "C": C, "worst": 1 - worst, "average": 1 - average}
                line = f"{what} near {near}  C {C:.2g}  round {number + 1}"
                line += f"  worst group {1 - worst:.3f}  average {1 - average:.3f}"
                tell(line, facts, self.verbose)

        return learned_head(
            z,
            cells,
            trained=trained,
            unseen=unseen,
            folds=deal_out(cells.codes, rng, units),
            recipe=recipe,
            on_round=tell_round,
        )

    def _tell_start(self, before: LearnedHead, after: LearnedHead) -> None:
        facts = {"worst_before": 1 - before.worst, "worst_after": 1 - after.worst}
        kept = "pretrained" if before.worst <= after.worst else "trained"
        line = f"worst group on held-out samples: pretrained embedding {1 - before.worst:.3f}, "
        line += f"trained {1 - after.worst:.3f}; the {kept} one is kept"
        tell(line, facts, self.verbose)

    def _refit_head(
        self,
        z: np.ndarray,
        cells: Cells,
        *,
        validation: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
        scaling: tuple[np.ndarray, np.ndarray] | None,
        trained: LogisticRegression,
        units: np.ndarray | None,
        rng: np.random.Generator,
    ) -> Any:
        """Fit the last layer anew.

        Parameters
        ----------
        z : ndarray or CSR matrix of shape (n_samples, n_embedding)
            Embeddings to fit it on.
        cells : Cells
            Their cells.
        validation : tuple of (embeddings, class codes, cell codes), or None
            What chooses hyper-parameters.
        scaling : tuple of (mean, scale), or None
            Of the embeddings that were trained on, where a recipe wants it.
        trained : LogisticRegression
            The layer as it was trained.
        units : ndarray of shape (n_samples,) or None
            Which samples belong together.
        rng : numpy.random.Generator
            Draws samples.
        """
        return refit_head(
            z,
            cells.y,
            cells.codes,
            self.classes_,
            estimator=self._refit,
            validation=validation,
            scaling=scaling,
            trained=trained,
            n_draws=10 if self._refit_source == "train" else None,  # as DFR's authors do
            units=units,
            rng=rng,
        )


def _units_of(
    sources: list[EvaluationSource], train: EvaluationSource, units: Units | None
) -> np.ndarray | None:
    """The units of samples that were given to fit; validation data of their own have none."""
    if units is None:
        return None
    ours = [units.codes[source.rows] for source in sources if source.inputs is train.inputs]
    if not ours:
        return None
    return np.unique(np.concatenate(ours), return_inverse=True)[1]
