"""Audits need no torch, and nothing that draws or fills pages before a page is wanted."""

import pytest

from ..test_top_level import modules_after

AUDIT = (
    "import sys\n"
    "from gbmix_sklearn import GroupAudit, model_card\n"
    "y, groups = [0, 1] * 50, [0, 0, 1, 1] * 25\n"
    "audit = GroupAudit.from_predictions(y, y, groups=groups, y_proba=y)\n"
    "audit.to_json(), str(audit), audit.compare(audit)\n"
)
PAGE = "audit.to_html()\n"
CARD = (
    "from sklearn.linear_model import LogisticRegression\nmodel_card(LogisticRegression(), audit)\n"
)


@pytest.mark.parametrize("code", ["", PAGE, CARD], ids=["an audit", "a page", "a card"])
def test_torch_is_not_loaded(code):
    assert modules_after(AUDIT + code) == []


def test_an_audit_loads_nothing_that_only_pages_and_cards_need():
    modules = ("matplotlib", "jinja2", "markupsafe", "huggingface_hub")
    modules_after(f"{AUDIT}assert not {{*{modules}}} & {{*sys.modules}}, sys.modules")
