"""Optional dependencies: imported when they are used, and named with their extra when missing."""

from importlib import import_module
from types import ModuleType

from nntrace.errors import NntraceError


class MissingExtraError(NntraceError):
    """A command needs a package that is not installed."""


def require(module: str, extra: str | None, what: str) -> ModuleType:
    """Import an optional dependency.

    Args:
        module: its import name.
        extra: the extra of nntrace that installs it; None for a package of its own.
        what: what needs it, as the beginning of a sentence.

    Raises:
        MissingExtraError: it is not installed; the message says what installs it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = (error.name or module).partition(".")[0]
        install = f'pip install "nntrace[{extra}]"' if extra else f"pip install {package}"
        raise MissingExtraError(
            f"{what} needs {package}, which is not installed. Install it: {install}"
        ) from error
