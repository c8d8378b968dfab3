"""Labels, attribute values and parameters as JSON, and back as what they were.

What has no form here is refused when it is saved. What is read is checked as if a stranger had
written it: nothing is called but the constructors that are listed, and nothing becomes larger than
the text that describes it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import sklearn.linear_model

from .refit import LearnedRecipe, Recipe

__all__ = [
    "LINEAR_MODELS",
    "array_from_json",
    "array_to_json",
    "linear_model_from_json",
    "linear_model_to_json",
    "parameter_from_json",
    "parameter_to_json",
    "table_from_json",
    "table_to_json",
    "value_from_json",
    "value_to_json",
]

#: linear classifiers of scikit-learn that a saved model may name, as far as there are
LINEAR_MODELS: dict[str, Any] = {
    name: getattr(sklearn.linear_model, name)
    for name in (
        "LogisticRegression",
        "LogisticRegressionCV",
        "PassiveAggressiveClassifier",
        "Perceptron",
        "RidgeClassifier",
        "RidgeClassifierCV",
        "SGDClassifier",
    )
    if hasattr(sklearn.linear_model, name)
}
_RECIPES: dict[str, Any] = {"recipe": Recipe, "learned_recipe": LearnedRecipe}
_DTYPE = re.compile(r"[<>|=]?([biufUSOMm])\d*(\[\d*(?:Y|M|W|D|h|m|s|ms|us|ns)\])?")
#: bytes that a text may be wider than the longest that is there
_WIDER = 1024
_PICKLE = "pickle the classifier instead"


# ---------------------------------------------------------------------------- single values

#: what JSON has no form for: name, class, how to write it, how to read it; subclasses come first
_KINDS: tuple[tuple[str, type, Callable[[Any], Any], Callable[[Any], Any]], ...] = (
    ("interval", pd.Interval, lambda v: _interval_to_json(v), lambda v: _interval_from_json(v)),
    (
        "timestamp",
        pd.Timestamp,
        lambda v: [v.isoformat(), v.unit, None if v.tz is None else str(v.tz)],
        lambda v: _timestamp_from_json(*v),
    ),
    (
        "timedelta",
        pd.Timedelta,
        lambda v: [v.isoformat(), v.unit],
        lambda v: pd.Timedelta(v[0]).as_unit(v[1]),
    ),
    (
        "period",
        pd.Period,
        lambda v: [v.ordinal, v.freqstr],
        lambda v: pd.Period(ordinal=v[0], freq=v[1]),
    ),
    ("datetime", datetime, datetime.isoformat, datetime.fromisoformat),
    ("date", date, date.isoformat, date.fromisoformat),
    ("decimal", Decimal, str, Decimal),
    ("bytes", bytes, bytes.hex, bytes.fromhex),
    (
        "tuple",
        tuple,
        lambda v: [value_to_json(part) for part in v],
        lambda v: tuple(value_from_json(part) for part in v),
    ),
)


def value_to_json(value: Any) -> Any:
    """Write a label or an attribute value.

    Raises
    ------
    TypeError
        If it would not come back as what it is.

    Examples
    --------
    >>> value_to_json(pd.Interval(20, 60))
    {'interval': [20, 60, 'right']}
    >>> value_from_json(_)
    Interval(20, 60, closed='right')
    """
    if isinstance(value, np.datetime64 | np.timedelta64):
        value = pd.Timestamp(value) if isinstance(value, np.datetime64) else pd.Timedelta(value)
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str | bool | int | float):
        return value
    for name, kind, write, _ in _KINDS:
        if isinstance(value, kind) and value is not pd.NaT:
            return {name: write(value)}
    raise TypeError(
        f"the value {value!r} of type {type(value).__name__} cannot be saved: make it text or a "
        f"number before fit, or {_PICKLE}"
    )


def value_from_json(saved: Any) -> Any:
    """Read what :func:`value_to_json` has written.

    Raises
    ------
    ValueError, TypeError
        If it was something else.
    """
    if isinstance(saved, str | bool | int | float):
        return saved
    if isinstance(saved, dict) and len(saved) == 1:
        ((name, content),) = saved.items()
        for known, _, _, read in _KINDS:
            if name == known:
                return read(content)
    raise ValueError(f"{_short(saved)} is no value")


def _interval_to_json(value: pd.Interval) -> list[Any]:
    return [value_to_json(value.left), value_to_json(value.right), value.closed]


def _interval_from_json(saved: Any) -> pd.Interval:
    left, right, closed = saved
    return pd.Interval(value_from_json(left), value_from_json(right), closed)


def _timestamp_from_json(text: str, unit: Any, zone: str | None) -> pd.Timestamp:
    value = pd.Timestamp(text)
    if zone is not None and str(value.tz) != zone:
        value = value.tz_convert(zone)
    return value.as_unit(unit)


# ---------------------------------------------------------------------------- tables of cells


def table_to_json(table: pd.DataFrame) -> dict[str, Any]:
    """Write a table of cells: names of the attributes, cells, and columns.

    Raises
    ------
    TypeError
        If an attribute value would not come back as what it is.

    Examples
    --------
    >>> ages = pd.MultiIndex.from_arrays([[0], pd.cut([45], [30, 60])], names=["target", "age"])
    >>> table_to_json(pd.DataFrame({"count": [7]}, ages))["cells"]
    [[0, {'interval': [30, 60, 'right']}]]
    >>> table_from_json(table_to_json(pd.DataFrame({"count": [7]}, ages))).index[0][1]
    Interval(30, 60, closed='right')
    """
    return {
        "names": list(table.index.names),
        "cells": [[value_to_json(value) for value in row] for row in table.index],
        **{str(name): column.tolist() for name, column in table.items()},
    }


def table_from_json(saved: dict[str, Any]) -> pd.DataFrame:
    """Read what :func:`table_to_json` has written."""
    columns = {key: value for key, value in saved.items() if key not in ("names", "cells")}
    levels = zip(*saved["cells"], strict=True)
    index = pd.MultiIndex.from_arrays(list(map(_as_level, levels)), names=saved["names"])
    return pd.DataFrame(columns, index=index)


def _as_level(values: tuple[Any, ...]) -> np.ndarray:
    level = np.empty(len(values), dtype=object)  # one by one: a tuple is a value, and no row
    level[:] = [value_from_json(value) for value in values]
    return level


# ---------------------------------------------------------------------------- arrays of labels


def array_to_json(values: np.ndarray) -> dict[str, Any]:
    """Write labels with their type.

    Raises
    ------
    TypeError
        If a label would not come back as what it is.
    """
    dtype = values.dtype.str
    if not _DTYPE.fullmatch(dtype):
        raise TypeError(f"labels of type {values.dtype} cannot be saved; {_PICKLE}")
    if values.dtype.kind in "Mm":
        return {"dtype": dtype, "values": values.astype("int64").tolist()}
    return {"dtype": dtype, "values": [value_to_json(value) for value in values]}


def array_from_json(saved: dict[str, Any]) -> np.ndarray:
    """Read labels.

    Raises
    ------
    ValueError, TypeError
        If they do not have the type that they are said to have.

    Examples
    --------
    >>> array_from_json({"dtype": "<U3", "values": ["no", "yes"]})
    array(['no', 'yes'], dtype='<U3')
    """
    values, text = saved["values"], saved["dtype"]
    kind = _DTYPE.fullmatch(text)
    if kind is None or not isinstance(values, list):
        raise ValueError(f"labels of type {_short(text)}")
    if kind[1] in "Mm":
        return np.array(values, dtype=np.int64).view(text)
    labels = [value_from_json(value) for value in values]
    dtype = np.dtype(text)
    if kind[1] in "US":
        # no wider than its longest: the width takes memory, and stands in the file
        natural = np.array(labels)
        if natural.dtype.kind != kind[1]:
            raise ValueError(f"labels of type {text} that are not")
        if dtype.itemsize > natural.dtype.itemsize + _WIDER:
            dtype = natural.dtype
    found = np.empty(len(labels), dtype=object)
    found[:] = labels
    if kind[1] == "O":
        return found
    array = found.astype(dtype)
    if array.tolist() != labels or not _are_of(kind[1], labels):
        raise ValueError(f"labels of type {text} that are not")
    return array


def _are_of(kind: str, labels: list[Any]) -> bool:
    of = {"b": bool, "i": int, "u": int, "f": float, "U": str, "S": bytes}[kind]
    return all(type(label) is of for label in labels)


# ---------------------------------------------------------------------------- parameters


def parameter_to_json(name: str, value: Any) -> Any:
    """Write a parameter of a classifier.

    Raises
    ------
    TypeError
        If it has no form in JSON.
    """
    for kind, cls in _RECIPES.items():
        if isinstance(value, cls):
            parts = asdict(value).items()
            return {kind: {part: parameter_to_json(part, held) for part, held in parts}}
    if type(value) in LINEAR_MODELS.values():
        return linear_model_to_json(value)
    if isinstance(value, dict):
        pairs = [[value_to_json(key), parameter_to_json(name, v)] for key, v in value.items()]
        return {"mapping": pairs}
    if isinstance(value, tuple | list | np.ndarray | pd.Index):
        return [None if part is None else value_to_json(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"{name}={value!r} has no representation in JSON; {_PICKLE}")


def parameter_from_json(saved: Any) -> Any:
    """Read a parameter; a list comes back as a tuple.

    Raises
    ------
    ValueError, TypeError
        If it is none.
    """
    if saved is None or isinstance(saved, str | bool | int | float):
        return saved
    if isinstance(saved, list):
        return tuple(None if part is None else value_from_json(part) for part in saved)
    if isinstance(saved, dict) and "linear_model" in saved:
        return linear_model_from_json(saved)
    if isinstance(saved, dict) and len(saved) == 1:
        ((kind, content),) = saved.items()
        if kind in _RECIPES:
            return _recipe_from_json(_RECIPES[kind], content)
        if kind == "mapping":
            return {value_from_json(key): parameter_from_json(value) for key, value in content}
    raise ValueError(f"{_short(saved)} is no parameter")


def _recipe_from_json(cls: Any, saved: dict[str, Any]) -> Any:
    parts = {name: parameter_from_json(value) for name, value in saved.items()}
    for field in fields(cls):
        value = parts.get(field.name, field.default)
        numbers = value if isinstance(value, tuple) else (value,)
        if isinstance(field.default, str):
            good = isinstance(value, str)
        elif isinstance(field.default, int) and not isinstance(value, int):
            good = False
        else:
            good = value is None or all(
                isinstance(n, int | float) and math.isfinite(n) for n in numbers
            )
        if not good:
            raise ValueError(f"{field.name}={_short(value)} of a recipe")
    return cls(**parts)


def linear_model_to_json(model: Any) -> dict[str, Any]:
    """Write a linear classifier of scikit-learn, as yet unfitted."""
    parameters = {
        name: None if isinstance(value, np.random.RandomState) else parameter_to_json(name, value)
        for name, value in model.get_params(deep=False).items()
    }
    return {"linear_model": type(model).__name__, "parameters": parameters}


def linear_model_from_json(saved: dict[str, Any]) -> Any:
    """Read a linear classifier: one of those listed, with parameters that it has.

    Raises
    ------
    ValueError, TypeError
        If it is another, or has others.
    """
    name, parameters = saved["linear_model"], saved["parameters"]
    if not isinstance(name, str) or name not in LINEAR_MODELS:
        raise ValueError(f"{_short(name)} is no linear classifier that models are saved with")
    model = LINEAR_MODELS[name]()
    known = model.get_params(deep=False)
    for parameter, value in parameters.items():
        if parameter not in known:
            raise ValueError(f"{name} has no parameter {_short(parameter)}")
        model.set_params(**{parameter: parameter_from_json(value)})
    model._validate_params()
    return model


def _short(value: Any) -> str:
    """What a message shows of something that may be long, or nested without end."""
    if isinstance(value, dict | list):
        return f"a {type(value).__name__} of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
