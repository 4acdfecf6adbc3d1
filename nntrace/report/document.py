"""An HTML page that needs no network and in which nothing of a run is ever executed.

A content security policy allows one script, by its hash, and no `eval`; all text from a run is
escaped by the template, or embedded as JSON that only Vega reads.
"""

import json
from collections.abc import Iterable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from nntrace import __version__
from nntrace.report.bundle import checksum, page_script, resource
from nntrace.report.figure import Figure, specification
from nntrace.report.theme import DARK, LIGHT, css_variables
from nntrace.text import printable
from nntrace.text.values import number, percent


def render_document(template: str, drawn: Iterable[Figure], /, **content: Any) -> str:
    """Render a template with `content` to a page that includes its charts, style and script."""
    charts = {figure.name: specification(figure, width="container") for figure in drawn}
    code = page_script()
    return (
        _environment()
        .get_template(template)
        .render(
            **content,
            version=__version__,
            palettes=Markup(_palettes()),
            style=Markup(resource("report.css")),
            script=Markup(code),
            script_hash=checksum(code),
            charts=Markup(_embedded(charts)),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("nntrace.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "percent": percent, "ticks": _ticks}
    return environment


def _shown(value: Any) -> Any:
    """A value as the template writes it, with escapes for control and invisible characters."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable(value)
    return value


def _ticks(text: str) -> Markup:
    """A message as HTML, with the parts between backticks set as code."""
    parts = printable(text).split("`")
    marked = [
        Markup("<code>{}</code>").format(part) if number % 2 and len(parts) % 2 else escape(part)
        for number, part in enumerate(parts)
    ]
    return Markup("").join(marked)


def _embedded(charts: dict[str, Any]) -> str:
    """The charts as JSON that cannot end the HTML element it stands in."""
    text = json.dumps(charts, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _palettes() -> str:
    dark = css_variables(DARK)
    return (
        f":root{{{css_variables(LIGHT)}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}"
        f"@media screen{{:root[data-theme=dark]{{{dark}}}}}"
    )
