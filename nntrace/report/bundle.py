"""Bundles the one script of a page: Vega, Vega-Lite, Vega-Embed and the page's own lines."""

import base64
import hashlib
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

import vl_convert

from nntrace.cache import cache_folder
from nntrace.report.pictures import VEGA_LITE

_BUNDLE: Final = """
import sys, vl_convert
script = sys.stdin.buffer.read().decode()
code = vl_convert.javascript_bundle(script, vl_version=sys.argv[1])
sys.stdout.buffer.write(code.encode())
"""


@cache
def page_script() -> str:
    """The script of a page.

    Bundling takes a second or two and is done once for each version of the parts.
    """
    script = resource("report.js")
    versions = f"{version('vl-convert-python')}/{VEGA_LITE}/{script}"
    name = f"report-{hashlib.sha256(versions.encode()).hexdigest()[:16]}.js"
    code = _read_whole(name)
    if code is None:
        code = _bundled(script)
        _write_whole(name, code)
    assert "</script" not in code.lower()
    assert "<!--" not in code
    return code


def begin_page_script() -> Future[str]:
    """Start `page_script` in a thread, so that a run can be read and diagnosed meanwhile."""
    pool = ThreadPoolExecutor(1)
    bundling = pool.submit(page_script)
    pool.shutdown(wait=False)
    return bundling


def _read_whole(name: str) -> str | None:
    """The script that `_write_whole` cached; None when there is none, or it is incomplete."""
    with suppress(OSError, RuntimeError, UnicodeDecodeError):
        written, _, code = (cache_folder() / name).read_text(encoding="utf-8").partition("\n")
        if written == checksum(code):
            return code
    return None


def _write_whole(name: str, code: str) -> None:
    with suppress(OSError, RuntimeError):  # without a cache folder it is bundled each time
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder, prefix=f".{name}-", delete=False) as part:
            part.write(f"{checksum(code)}\n{code}".encode())
        Path(part.name).replace(folder / name)


def _bundled(script: str) -> str:
    """Bundle in a process of its own if possible, because the bundler blocks all other threads."""
    words = [sys.executable, "-I", "-c", _BUNDLE, VEGA_LITE]
    try:
        done = subprocess.run(words, input=script.encode(), capture_output=True, check=True)
        return done.stdout.decode()
    except (OSError, ValueError, subprocess.CalledProcessError):
        return str(vl_convert.javascript_bundle(script, vl_version=VEGA_LITE))


def checksum(code: str) -> str:
    """The hash by which a content security policy identifies a script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()


def resource(name: str) -> str:
    """The text of a file in the folder of templates."""
    return (resources.files("nntrace.report") / "templates" / name).read_text(encoding="utf-8")
