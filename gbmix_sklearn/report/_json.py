"""Audits as JSON, whatever labels and attributes are made of."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .._visible import visible_json
from ..metrics._report import cell_names
from ._summary import group_values

if TYPE_CHECKING:
    from ._audit import GroupAudit
    from ._compare import AuditComparison

__all__ = ["as_json", "audit_record", "comparison_record"]


def as_json(content: Any) -> str:
    """Write as JSON that every reader takes: NaN, which it does not know, becomes null."""
    text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    return visible_json(text)


def audit_record(audit: GroupAudit) -> dict[str, Any]:
    """All that was measured; :meth:`GroupAudit.to_json` says what is where."""
    worst, following = audit._worst.cell, audit._worst.next
    by_group = audit.calibration_by_group
    record: dict[str, Any] = {
        "n_samples": audit.n_samples,
        "n_copies": audit.n_copies,
        "confidence": audit.confidence,
        "summary": audit.summary,
        "worst": {
            "label": audit.labels[worst],
            "next": None if following is None else audit.labels[following],
            "lead": audit.lead,
            "pvalue_adjusted": audit.lead_pvalue,
            "significant": audit.lead_is_significant,
            "rank_confidence": audit.rank_confidence,
        },
        "cells": _cells(audit._outcomes.index, audit.labels, audit.to_frame()),
        "small_cells": audit.small_cells,
    }
    if by_group is not None:
        rows = zip(_attributes(by_group.index), by_group.to_dict("records"), strict=True)
        record["calibration_by_group"] = [{"attributes": group, **row} for group, row in rows]
    if audit.model is not None:
        record["model"] = {"name": audit.model.name, "parameters": audit.model.parameters}
        table = audit.model.cell_table
        if table is not None:
            assert isinstance(table.index, pd.MultiIndex)
            record["model"]["cells"] = _cells(table.index, cell_names(table.index), table)
    return record


def comparison_record(comparison: AuditComparison) -> dict[str, Any]:
    """All that was found; :meth:`AuditComparison.to_json` says what is where."""
    frame = comparison.to_frame()
    assert isinstance(frame.index, pd.MultiIndex)
    return {
        "confidence": comparison.confidence,
        "worst_group_accuracy": comparison.worst_group_accuracy,
        "other_worst_group_accuracy": comparison.other_worst_group_accuracy,
        "difference": comparison.worst_group_difference,
        "low": comparison.low,
        "high": comparison.high,
        "different": comparison.worst_group_is_different,
        "cells": _cells(frame.index, comparison.labels, frame),
    }


def _cells(index: pd.MultiIndex, labels: list[str], frame: pd.DataFrame) -> list[dict[str, Any]]:
    columns = [str(name) for name in frame]
    return [
        {"class": cell[0], "attributes": of_cell, "label": label}
        | dict(zip(columns, row, strict=True))
        for cell, of_cell, label, row in zip(
            index,
            _attributes(index.droplevel(0)),
            labels,
            frame.itertuples(index=False, name=None),
            strict=True,
        )
    ]


def _attributes(groups: pd.Index) -> list[dict[str, Any]]:
    """Attribute values of each group; an object of its own, since they can have any name."""
    names = [str(name) for name in groups.names]
    return [dict(zip(names, values, strict=True)) for values in group_values(groups)]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)
