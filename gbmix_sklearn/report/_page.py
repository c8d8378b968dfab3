"""An audit as one page of HTML that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from .. import __version__
from ._figures import (
    LOOKS,
    MOST_PANELS,
    MOST_ROWS,
    draw_accuracies,
    draw_reliability,
    to_svg,
    worst_first,
)
from ._small import TOO_WIDE
from ._summary import group_names, named_rows, named_scores, sentences
from ._templates import fill, source
from ._text import percent, points

if TYPE_CHECKING:
    from ._audit import GroupAudit

__all__ = ["Picture", "hash_of", "picture_of", "write_page"]


@dataclass(frozen=True)
class Picture:
    """A figure for light and for dark pages, and what it shows in words."""

    title: str
    alt: str
    note: str
    light: Markup
    dark: Markup


def write_page(audit: GroupAudit) -> str:
    """Fill the template; whatever the user named is escaped by it."""
    style, script = source("audit.css"), source("audit.js")
    rows = named_rows(audit.to_frame(), audit.labels)
    rows[audit._worst.cell]["worst"] = True
    by_group = audit.calibration_by_group
    return fill(
        "audit.html.j2",
        title=f"Group audit of {audit.model.name}" if audit.model else "Group audit",
        audit=audit,
        rows=sorted(rows, key=lambda row: (row["accuracy"], "worst" not in row)),
        sentences=sentences(audit),
        scores=named_scores(audit),
        by_group=[] if by_group is None else named_rows(by_group, group_names(by_group.index)),
        pictures=_pictures(audit),
        too_wide=TOO_WIDE,
        style=Markup(style),
        script=Markup(script),
        # nothing but these two may run or style, nothing may be loaded
        policy=f"default-src 'none'; img-src data:; style-src '{hash_of(style)}'; "
        f"script-src '{hash_of(script)}'",
        version=__version__,
    )


def _pictures(audit: GroupAudit) -> list[Picture]:
    frame = audit.to_frame()
    worst = audit.labels[audit._worst.cell]
    best = audit.labels[int(frame["accuracy"].to_numpy().argmax())]
    drawn = [
        picture_of(
            partial(draw_accuracies, frame, audit.labels, audit.confidence),
            title="Accuracy of each group",
            alt=f"Accuracy and interval of {min(len(frame), MOST_ROWS)} groups, from "
            f"{percent(frame['accuracy'].min())} for {worst} to "
            f"{percent(frame['accuracy'].max())} for {best}. The table has the numbers.",
            note=""
            if len(frame) <= MOST_ROWS
            else f"The {MOST_ROWS} worst of {len(frame)} groups; the table has all.",
        )
    ]
    by_group = audit.calibration_by_group
    if audit._calibration is not None and by_group is not None:
        names = group_names(by_group.index)
        together = audit._calibration.together(audit._outcomes.attribute)
        drawn += [
            _reliability(together, names, "Calibration of each group, over all classes"),
            _reliability(audit._calibration, audit.labels, "Calibration of each group and class"),
        ]
    return drawn


def _reliability(calibration: Any, names: list[str], title: str) -> Picture:
    scores = calibration.scores(None)
    accuracy = (scores["confidence"] - scores["overconfidence"]).to_numpy()
    chosen = worst_first(accuracy)
    over = scores["overconfidence"].to_numpy()
    most = int(np.abs(over).argmax())
    note = "Points on the dashed line are calibrated; larger points have more samples."
    if len(names) > MOST_PANELS:
        note += f" The {MOST_PANELS} worst of {len(names)} are drawn; the table has all."
    return picture_of(
        partial(draw_reliability, calibration.take(chosen), [names[n] for n in chosen]),
        title=title,
        alt=f"Accuracy against confidence of {len(chosen)} groups. The mean confidence is furthest "
        f"from the accuracy, by {points(over[most])} points, for {names[most]}.",
        note=note,
    )


def picture_of(draw: Any, *, title: str, alt: str, note: str) -> Picture:
    """Draw a figure for both looks; `draw` is given the look."""
    light, dark = (_data_uri(to_svg(draw, LOOKS[name])) for name in ("light", "dark"))
    return Picture(title, alt, note, light, dark)


def _data_uri(svg: bytes) -> Markup:
    return Markup("data:image/svg+xml;base64," + base64.b64encode(svg).decode())


def hash_of(text: str) -> str:
    """Hash by which the policy of a page knows its own style or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
