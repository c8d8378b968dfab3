"""Audits that several test files look at."""

import numpy as np
import pandas as pd

from gbmix_sklearn import GroupAudit

SCRIPT = "<script>window.broken = 'script'</script>"
IMAGE = '"><img src=x onerror="window.broken = \'image\'">'
HANDLER = "' onmouseover='window.broken = 1'"
TEMPLATE = "{{ 7 * 7 }}{% raw %}"
MARKDOWN = "a|b*c_`d`[e](f)#~"
HIDDEN = "\u202etxt.exe\x00"
LONG = "x" * 200
#: names that would break a page or a card in which they are not escaped
STRANGE = (SCRIPT, IMAGE, HANDLER, TEMPLATE, MARKDOWN, HIDDEN, LONG, "日本語 🦆 é")


def guesses(truth, accuracy, rng):
    """Labels that are right as often as asked, and else some other class."""
    classes, codes = np.unique(truth, return_inverse=True)
    other = (codes + rng.integers(1, max(len(classes), 2), len(codes))) % len(classes)
    return classes[np.where(rng.random(len(codes)) < accuracy, codes, other)]


def animals(n=2000):
    """Labels, predictions and attributes of six cells; cats outdoors are the worst."""
    rng = np.random.default_rng(0)
    truth = rng.choice(["cat", "dog"], n)
    groups = pd.DataFrame({"place": rng.choice(["attic", "indoor", "outdoor"], n)})
    worst = (truth == "cat") & (groups["place"] == "outdoor")
    return truth, guesses(truth, np.where(worst, 0.6, 0.9), rng), groups


def strange_audit(**options):
    """Audit of strange names, as labels, attributes and values, with probabilities."""
    rng = np.random.default_rng(0)
    truth = rng.choice(np.array([SCRIPT, IMAGE], dtype=object), 8000)
    groups = pd.DataFrame({"<b>group</b>": rng.choice(np.array(STRANGE, dtype=object), 8000)})
    predicted = np.where(rng.random(8000) < 0.8, truth, IMAGE)
    return GroupAudit.from_predictions(
        truth, predicted, groups=groups, y_proba=rng.random(8000), **options
    )
