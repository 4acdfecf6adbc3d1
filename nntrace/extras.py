"""Optional dependencies: imported when they are used, and named with their extra when missing."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Final

from nntrace.errors import NntraceError

# What the extras of pyproject.toml install, by import name.
MODULES: Final = {
    "tui": ("textual", "textual_plot"),
    "report": ("altair", "jinja2", "vl_convert"),
    "sql": ("duckdb",),
}


class MissingExtraError(NntraceError):
    """A command needs a package that is not installed."""


def require(module: str, what: str) -> ModuleType:
    """Import a package that no extra installs.

    Args:
        module: its import name.
        what: what needs it, as the beginning of a sentence.

    Raises:
        MissingExtraError: it is not installed; the message says what installs it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = (error.name or module).partition(".")[0]
        raise _missing(package, what, package) from error


def require_extra(extra: str, what: str) -> None:
    """Make sure that what an extra installs is there; nothing is imported yet.

    Args:
        extra: its name.
        what: what needs it, as the beginning of a sentence.

    Raises:
        MissingExtraError: a package is not installed; the message says what installs it.
    """
    for module in MODULES[extra]:
        if find_spec(module) is None:
            raise _missing(module, what, f'"nntrace[{extra}]"')


def _missing(package: str, what: str, install: str) -> MissingExtraError:
    return MissingExtraError(
        f"{what} needs {package}, which is not installed. Install it: pip install {install}"
    )
