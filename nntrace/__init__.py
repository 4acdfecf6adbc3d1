"""nntrace: see inside neural-network training while it runs and say what is wrong."""

TYPE_CHECKING = False  # as type checkers read it; importing typing would cost every start-up
if TYPE_CHECKING:
    from nntrace.api import Diagnosis, Trace, diagnose, open  # noqa: A004 (as in nntrace.open)
    from nntrace.launch.interactive import Tracing, log, start

__version__ = "0.1.0"
__all__ = ["Diagnosis", "Trace", "Tracing", "__version__", "diagnose", "log", "open", "start"]
_TRACING = ("Tracing", "log", "start")


def __getattr__(name: str) -> object:
    """Import a public name on first use: a process started by `nntrace run` needs none of them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module("nntrace.launch.interactive" if name in _TRACING else "nntrace.api")
    value: object = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
