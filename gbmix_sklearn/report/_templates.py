"""Templates of pages and cards; what is filled in is made visible, and escaped in HTML."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from ._text import markdown, percent, points, pvalue_text, visible

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["fill", "source"]


def fill(name: str, /, **values: Any) -> str:
    """Fill a template."""
    return _environment().get_template(name).render(values)


def source(name: str) -> str:
    """Text of a file that lies with the templates."""
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("gbmix_sklearn.report"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_finalize,
    )
    environment.filters.update(md=markdown, percent=percent, points=points, pvalue=pvalue_text)
    return environment


def _finalize(value: Any) -> Any:
    from markupsafe import Markup

    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
