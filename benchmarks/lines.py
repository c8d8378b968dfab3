"""What a method costs in code: ``python -m benchmarks.lines``.

Counts the lines of each estimator and of the criterion that it names, without docstrings, comments,
blank lines and imports. What methods share (the contract, samplers, mixing) belongs to none.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import sys
import tokenize
from typing import Any

from gbmix_sklearn.estimators import METHODS

from ._records import RESULTS, machine, write

_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def code_lines(source: str) -> int:
    """Count lines with code in a class or a module."""
    ignored: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_import = isinstance(node, ast.Import | ast.ImportFrom)
        if is_text or is_import or _is_all(node):
            ignored.update(range(node.lineno, node.end_lineno + 1))
    used: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            used.update(range(token.start[0], token.end[0] + 1))
    return len(used - ignored)


def _is_all(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"


def criterion_of(method: type) -> type | None:
    """Find the criterion of a method's own; plain cross-entropy is shared by many."""
    for cls in method.__mro__:
        if not cls.__module__.startswith("gbmix_sklearn.estimators"):
            continue
        names = re.findall(r"\b(\w+Criterion)\(", inspect.getsource(cls))
        own = [name for name in names if name != "CrossEntropyCriterion"]
        if own:
            return getattr(sys.modules[cls.__module__], own[0])
    return None


def count(method: type) -> dict[str, Any]:
    """Lines of the estimator and of its criterion."""
    criterion = criterion_of(method)
    return {
        "estimator": code_lines(inspect.getsource(method)),
        "criterion": code_lines(inspect.getsource(inspect.getmodule(criterion)))
        if criterion
        else 0,
    }


def main() -> None:
    records = [{"method": name, **count(method)} for name, method in METHODS.items()]
    for record in records:
        print("{method:16} {estimator:3} + {criterion:3}".format(**record))
    write(RESULTS / "lines.json", {"machine": machine(), "records": records})


if __name__ == "__main__":
    main()
