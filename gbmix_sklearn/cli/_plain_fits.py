"""Methods of scikit-learn, fitted so that they can be saved as plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ._features import numbers_for
from ._settings import parse_settings

if TYPE_CHECKING:
    from .._plain import PlainClassifier
    from ..tables import Schema
    from ._samples import Samples

__all__ = ["PlainFit"]

#: what is no parameter of the classifier but of the command
_SHARE = "validation_fraction"


class PlainFit:
    """A method of scikit-learn with its settings.

    Parameters
    ----------
    method : str
        Its name in :func:`gbmix_sklearn.compare`.
    settings : list of str
        Parameters, as ``--set`` has them.
    seed : int
        Seed of everything that is drawn.

    Attributes
    ----------
    validation_fraction : float or None
        Share of the rows that judge it.
    """

    def __init__(self, method: str, settings: Sequence[str] = (), seed: int = 0):
        from ..comparison._methods import make_methods

        self.method = method
        # the columns are encoded by the schema that is saved with the model
        self._classifier = make_methods([method], "table", None, seed)[method][-1]
        inner = self._classifier.estimator
        known = [name for name in inner.get_params(deep=False) if name != "categorical_features"]
        parameters = parse_settings(settings, [*known, _SHARE])
        self.validation_fraction = _share(parameters.pop(_SHARE, 0.2))
        chosen = parameters.keys() & (getattr(self._classifier, "param_grid", None) or {})
        if chosen:  # what is given is not searched for
            self._classifier.param_grid = None
        inner.set_params(**parameters)

    def __call__(self, schema: Schema, samples: Samples) -> PlainClassifier:
        """Fit on rows of a table."""
        from .._plain import PlainClassifier

        inner = self._classifier.estimator
        takes_codes = "categorical_features" in inner.get_params(deep=False)
        if takes_codes:
            of_categories = schema.codes_categories
            inner.set_params(categorical_features=of_categories if of_categories.any() else None)
        X: Any = numbers_for(schema, samples.X, samples.where, codes=takes_codes)
        self._classifier.fit(X, samples.y, samples.groups, keep_together=samples.units)
        return PlainClassifier.of(self.method, self._classifier, X)


def _share(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, float) or not 0 < value < 1:
        raise ValueError(f"--set {_SHARE}={value!r} must be None or between 0 and 1")
    return value
