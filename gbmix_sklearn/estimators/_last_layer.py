"""The last layer of a classifier: as trained, or fitted anew."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from ..exceptions import SmallCellWarning
from ..groups import Cells
from ..refit import linear_head, refit_head, scaled_by_training, scaling_of
from ..training import EvaluationSource, embed_in_batches
from ._inputs import Validation
from ._parameters import Parameters
from ._prediction import Prediction

__all__ = ["LastLayer"]


class LastLayer(Parameters, Prediction):
    """What `refit` and `refit_on` mean."""

    def _check_refit_part(
        self, cells: Cells, parts: dict[str, np.ndarray], validation: Validation | None
    ) -> None:
        """Say where there is too little to refit the last layer on."""
        if self._refit is None or self.refit_on == "train":
            return
        if self.refit_on == "held_out":
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
                + ("refit_fraction" if self.refit_on == "held_out" else "validation_fraction"),
                SmallCellWarning,
                stacklevel=3,
            )

    def _set_head(
        self,
        train: EvaluationSource,
        part: EvaluationSource | None,
        valid: EvaluationSource | None,
        rng: np.random.Generator,
    ) -> None:
        """Refit the last layer on a part of the data, or take it from the net."""
        network = self.net_.raw_module
        layer = network.head
        weight, bias = (value.detach().float().cpu().numpy() for value in layer.parameters())
        trained = linear_head(weight, bias, self.classes_)
        if part is None or len(np.unique(part.samples.y)) < 2:
            self.head_ = trained
            return

        def embed(source: EvaluationSource) -> np.ndarray:
            dtype = self._backbone.dtype
            return embed_in_batches(network.embedding, source.inputs, source.rows, dtype)

        chosen_on = None
        if valid is not None and valid is not part:
            chosen_on = (embed(valid), valid.samples.y, valid.samples.codes)
        scaling = None
        if scaled_by_training(self._refit):
            scaling = scaling_of(embed(train))
        z = embed(part)
        self.head_ = self._refit_head(
            z, part.samples, validation=chosen_on, scaling=scaling, trained=trained, rng=rng
        )

    def _refit_head(
        self,
        z: np.ndarray,
        cells: Cells,
        *,
        validation: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
        scaling: tuple[np.ndarray, np.ndarray] | None,
        trained: LogisticRegression,
        rng: np.random.Generator,
    ) -> Any:
        """Fit the last layer anew.

        Parameters
        ----------
        z : ndarray of shape (n_samples, n_embedding)
            Embeddings to fit it on.
        cells : Cells
            Their cells.
        validation : tuple of (embeddings, class codes, cell codes), or None
            What chooses hyper-parameters.
        scaling : tuple of (mean, scale), or None
            Of the embeddings that were trained on, where a recipe wants it.
        trained : LogisticRegression
            The layer as it was trained.
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
            n_draws=10 if self.refit_on == "train" else None,  # as DFR's authors do
            rng=rng,
        )
