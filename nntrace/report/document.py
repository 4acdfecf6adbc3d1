"""An HTML page that needs no network and in which nothing of a run is ever executed.

A content security policy allows one script, by its hash, and no `eval`; whatever a run says is
escaped by the template, or travels as JSON that only Vega reads.
"""

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from importlib import resources
from typing import Any, Final

import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from nntrace import __version__
from nntrace.cli.values import number, percent
from nntrace.report.figure import Figure, specification
from nntrace.report.pictures import VEGA_LITE
from nntrace.report.theme import DARK, LIGHT, css_variables
from nntrace.text import printable

_BUNDLE: Final = """
import sys, vl_convert
script = sys.stdin.buffer.read().decode()
code = vl_convert.javascript_bundle(script, vl_version=sys.argv[1])
sys.stdout.buffer.write(code.encode())
"""


def render_document(template: str, drawn: Iterable[Figure], /, **content: Any) -> str:
    """The page that a template makes of `content`, with its charts, style and script inside."""
    charts = {figure.name: specification(figure, width="container") for figure in drawn}
    code = page_script()
    return (
        _environment()
        .get_template(template)
        .render(
            **content,
            version=__version__,
            palettes=Markup(_palettes()),
            style=Markup(_resource("report.css")),
            script=Markup(code),
            script_hash=_hash(code),
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
    """What the template writes: control and invisible characters of user text as escapes."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable(value)
    return value


def _ticks(text: str) -> Markup:
    """A message, what stands between backticks set as code."""
    parts = printable(text).split("`")
    marked = [
        Markup("<code>{}</code>").format(part) if number % 2 and len(parts) % 2 else escape(part)
        for number, part in enumerate(parts)
    ]
    return Markup("").join(marked)


def _embedded(charts: dict[str, Any]) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(charts, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def page_script() -> str:
    """Vega, Vega-Lite, Vega-Embed and the page's own script; bundling takes a second."""
    code = _bundled(_resource("report.js"))
    assert "</script" not in code.lower()
    assert "<!--" not in code
    return code


def begin_page_script() -> "Future[str]":
    """`page_script` meanwhile: a run can be read and diagnosed in that second."""
    pool = ThreadPoolExecutor(1)
    bundling = pool.submit(page_script)
    pool.shutdown(wait=False)
    return bundling


def _bundled(script: str) -> str:
    """In a process of its own where one can be had: the bundler lets no other thread run."""
    words = [sys.executable, "-I", "-c", _BUNDLE, VEGA_LITE]
    try:
        done = subprocess.run(words, input=script.encode(), capture_output=True, check=True)
        return done.stdout.decode()
    except (OSError, ValueError, subprocess.CalledProcessError):
        return str(vl_convert.javascript_bundle(script, vl_version=VEGA_LITE))


def _hash(code: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()


def _palettes() -> str:
    dark = css_variables(DARK)
    return (
        f":root{{{css_variables(LIGHT)}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}"
        f"@media screen{{:root[data-theme=dark]{{{dark}}}}}"
    )


def _resource(name: str) -> str:
    return (resources.files("nntrace.report") / "templates" / name).read_text(encoding="utf-8")
