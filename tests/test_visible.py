"""Names with control characters in them read as what they are, wherever they are written."""

import json
import logging
import pickle
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from gbmix_sklearn import (
    ERMClassifier,
    GBMixError,
    GroupAccuracyDisplay,
    GroupAudit,
    GroupsError,
    SmallCellWarning,
    group_report,
)
from gbmix_sklearn._visible import visible, visible_json, visible_lines

from .estimators.problems import problem

STRANGE = ["\x1b[2J", "\x9b31m", "\ud800", "\ufffe", "\u202e", "\u2066", "\u061c", "\u200b", "\x07"]
WORDS = ["كتاب", "می\u200cخواهم", "👩\u200d🔬", "naïve", "ʻOkina"]


@pytest.mark.parametrize("sign", [*STRANGE, "\U0001ffff", "\U000e0041"], ids=ascii)
def test_what_would_not_be_seen_is_escaped(sign):
    shown = visible(f"a{sign}b")
    assert shown.isascii()
    assert shown.isprintable()
    assert shown.startswith(r"a\u") or shown.startswith(r"a\U")


@pytest.mark.parametrize("word", WORDS)
def test_words_of_all_scripts_stay(word):
    assert visible(word) == word


def test_lines_stay_lines():
    assert visible_lines("a\x1b\nb") == "a\\u001b\nb"
    assert visible("a\nb") == r"a\u000ab"


@pytest.mark.parametrize("sign", [*STRANGE, "\U000e0041"], ids=ascii)
def test_json_stands_for_the_same_as_before(sign):
    content = {f"a{sign}": [f"{sign}b", "é"]}
    text = visible_json(json.dumps(content, ensure_ascii=False, indent=1))
    assert json.loads(text) == content
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert "é" in text


@pytest.fixture
def strange():
    y = np.arange(800) % 2
    # halves of characters are no text for pandas 3
    names = np.array([name for name in STRANGE if name != "\ud800"][:4])
    groups = pd.DataFrame({"se\x1b[31mx": names[np.arange(800) // 2 % 4]})
    return y, np.where(np.arange(800) % 7 == 0, 1 - y, y), groups


def test_reports_and_audits_are_plain_text(strange):
    y, p, groups = strange
    audit = GroupAudit.from_predictions(y, p, groups=groups)
    other = GroupAudit.from_predictions(y, y, groups=groups)
    texts = [repr(group_report(y, p, groups=groups)), str(audit), repr(audit.compare(other))]
    for text in [*texts, audit.to_json(), audit.compare(other).to_json()]:
        assert r"\u001b" in text
        assert all(letter.isprintable() or letter == "\n" for letter in text)


def test_figures_are_files_that_can_be_read(strange, tmp_path):
    import matplotlib.pyplot as plt

    y, p, groups = strange
    display = GroupAccuracyDisplay.from_predictions(y, p, groups=groups)
    with plt.rc_context({"svg.fonttype": "none"}):
        display.figure_.savefig(tmp_path / "figure.svg")
    plt.close(display.figure_)
    assert r"\ufffe" in "".join(ET.parse(tmp_path / "figure.svg").getroot().itertext())


def test_errors_and_warnings_are_plain_text():
    for kind in (GBMixError, GroupsError, SmallCellWarning):
        error = kind("group \x1b[31m\nand \ud800")
        assert str(error) == "group \\u001b[31m\nand \\ud800"
        assert pickle.loads(pickle.dumps(error)).args == error.args


def test_the_progress_of_a_fit_is_plain_text(capsys, caplog):
    X, y, s = problem()
    groups = np.array(["f\x1b[2J", "m\x9b"])[s]
    with caplog.at_level(logging.INFO, "gbmix_sklearn"):
        ERMClassifier(max_epochs=2, random_state=0, verbose=1).fit(X, y, groups)
    shown = capsys.readouterr().out
    assert r"f\u001b[2J" in shown
    assert not {"\x1b", "\x9b"} & {*shown, *caplog.text}
