"""Write the reference pages from the package: every public name."""

import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import gbmix_sklearn

#: module -> title of its section, in the order of the page
SECTIONS = {
    "estimators": "Classifiers",
    "criteria": "Criteria for PyTorch loops",
    "balance": "For any classifier of scikit-learn",
    "refit": "Refit of the last layer",
    "tables": "Tables",
    "comparison": "Comparison of methods",
    "backbones": "Embedding",
    "metrics": "Metrics and scorers",
    "plotting": "Displays",
    "model_selection": "Splitting",
    "report": "Audits and model cards",
    "datasets": "Data sets",
    "sampling": "Sampling",
    "groups": "Cells",
    "persistence": "Saving",
    "export": "Export",
    "exceptions": "Errors and warnings",
}
#: names that are imported from their module, beside those of the top level
FROM_MODULES = {
    "metrics": [
        "GroupReport",
        "cell_accuracies",
        "demographic_parity_difference",
        "equalized_odds_difference",
    ],
    "tables": ["Schema"],
    "report": ["AuditComparison"],
    "export": ["export_onnx"],
    "sampling": [
        "GroupBalancedSampler",
        "PairedSampler",
        "RepeatedSampler",
        "ShuffledSampler",
        "SubsampledSampler",
    ],
    "balance": [
        "choose_offsets",
        "cross_fitted_offsets",
        "learn_balance",
        "shrunken_errors",
        "start_shares",
    ],
    "groups": ["Cells", "make_cells", "encode_attribute"],
}


def write(folder: Path) -> None:
    """Write ``index.rst``: all public names."""
    folder.mkdir(exist_ok=True)
    index = _index()
    _replace(folder / "index.rst", index)
    for page in folder.glob("*.rst"):  # those of names that are gone
        if page.name != "index.rst" and f"   {page.stem}\n" not in index:
            page.unlink()


def skip_foreign(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Skip what scikit-learn, pandas and torch define: their own references have it."""
    function = inspect.unwrap(obj.fget) if isinstance(obj, property) else obj
    function = getattr(function, "fn", function)  # available_if keeps the method here
    if what == "class" and not str(getattr(function, "__module__", "")).startswith("gbmix_sklearn"):
        return True
    return None  # autodoc's own rules


def quote_shapes(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Quote fitted attributes in types such as ``(n_features_in_,)``: they would become links."""
    for number, line in enumerate(lines):
        if re.match(r"\w+ : ", line):
            lines[number] = re.sub(r"(?<=\()(\w+_)(?=[,)])", r"`\1`", line)


def _index() -> str:
    public: dict[str, list[str]] = {module: [] for module in SECTIONS}
    for name, module in gbmix_sklearn._PUBLIC.items():
        public[module].append(name)  # a KeyError here: give the new module a section
    lines = [
        "Reference",
        "=========",
        "",
        "Names without a module are imported from ``gbmix_sklearn``.",
        "",
    ]
    for module, title in SECTIONS.items():
        values = {name: getattr(gbmix_sklearn, name) for name in public[module]}
        scorers = [name for name, value in values.items() if _is_scorer(value)]
        entries = [f"gbmix_sklearn.{name}" for name in values if name not in scorers]
        entries += [f"gbmix_sklearn.{module}.{name}" for name in FROM_MODULES.get(module, [])]
        lines += [title, "-" * len(title), ""]
        lines += [".. autosummary::", "   :toctree: .", ""]
        lines += [f"   {entry}" for entry in entries] + [""]
        for name in scorers:
            lines += [f".. py:data:: gbmix_sklearn.{name}", ""]
            lines += [f"   ``{values[name]!r}``, see :func:`~gbmix_sklearn.make_group_scorer`.", ""]
    return "\n".join(lines)


def _is_scorer(value: Any) -> bool:
    scorer = import_module("gbmix_sklearn.metrics").make_group_scorer("robust_gap")
    return isinstance(value, type(scorer))


def _replace(path: Path, text: str) -> None:
    # left alone where nothing changed, so that Sphinx does not read it again
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
