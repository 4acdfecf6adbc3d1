"""Optional dependencies: imported on use; the error for a missing one names what to install."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Final

from nntrace.errors import NntraceError

# The packages that each extra of pyproject.toml installs, by import name.
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
        module: the package's import name.
        what: what needs the package, as the beginning of a sentence.

    Raises:
        MissingExtraError: the package is not installed; the message says how to install it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = (error.name or module).partition(".")[0]
        raise _missing(package, what, package) from error


def require_extra(extra: str, what: str) -> None:
    """Check that the packages of an extra are installed, without importing them.

    Args:
        extra: the name of the extra.
        what: what needs it, as the beginning of a sentence.

    Raises:
        MissingExtraError: a package is not installed; the message says how to install it.
    """
    for module in MODULES[extra]:
        if find_spec(module) is None:
            raise _missing(module, what, f'"nntrace[{extra}]"')


def _missing(package: str, what: str, install: str) -> MissingExtraError:
    return MissingExtraError(
        f"{what} needs {package}, which is not installed. Install it: pip install {install}"
    )
