"""nntrace: see inside neural-network training while it runs and say what is wrong."""

TYPE_CHECKING = False  # as type checkers read it; importing typing would cost every start-up
if TYPE_CHECKING:
    from nntrace.api import Diagnosis, Trace, diagnose, open  # noqa: A004 (as in nntrace.open)

__version__ = "0.1.0"
__all__ = ["Diagnosis", "Trace", "__version__", "diagnose", "open"]


def __getattr__(name: str) -> object:
    """Load the reading side on first use: the traced process imports nntrace and never needs it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nntrace import api

    value: object = getattr(api, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
