"""The agent in a traced process: waits for a framework, installs its adapter, says goodbye.

Costs nothing but an import finder until the first third-party import; numpy and pyarrow are
imported only after a framework is.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

from nntrace.notices import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.abc import Loader

    from nntrace.session import Session


class _FrameworkFinder:
    """A meta-path finder that finds nothing itself but notices frameworks being imported."""

    def __init__(self, on_imported: Callable[[str], None]) -> None:
        self._on_imported = on_imported
        self._names: frozenset[str] | None = None
        self._busy = False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if "." in name or self._busy or name in sys.stdlib_module_names:
            return None
        self._busy = True
        try:
            if self._names is None:
                # Read here, not at start: a process that imports only the standard library
                # should not pay for looking through the installed packages.
                from nntrace.adapter import installed_adapters

                self._names = frozenset(installed_adapters())
            if name not in self._names:
                return None
            spec = importlib.util.find_spec(name)
        finally:
            self._busy = False
        if spec is not None and spec.loader is not None:
            # Duck-typed: importlib.abc would cost every process its import.
            loader = _NotifyingLoader(spec.loader, lambda: self._on_imported(name))
            spec.loader = loader  # type: ignore[assignment]
        return spec


class _NotifyingLoader:
    """The framework's own loader, with a call after the module has been executed."""

    def __init__(self, loader: Loader, after: Callable[[], None]) -> None:
        self._loader = loader
        self._after = after

    def __getattr__(self, name: str) -> object:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:  # the module must look as without nntrace
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._after()


def activate() -> None:
    """Watch for frameworks in this process, as told by the environment of `nntrace run`."""
    if "NNTRACE_RUN" not in os.environ:
        return  # the program cleared its environment, but for the path
    state = _Agent()
    sys.meta_path.insert(0, state.finder)
    atexit.register(state.at_exit)


class _Agent:
    """What one traced process holds."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._session: Session | None = None
        self._speaks = _is_launched_process()
        # What this process starts itself (workers, spawned ranks) need not explain its silence.
        os.environ.pop("NNTRACE_PID", None)
        self.finder = _FrameworkFinder(self._imported)

    def _imported(self, framework: str) -> None:
        try:
            from nntrace.session import Session

            if self._session is None:
                self._session = Session.from_environment(explains_silence=self._speaks)
            self._session.install(framework)
        except Exception as error:  # never the user's problem
            say(f"could not trace {framework}: {type(error).__name__}: {error}")
            if os.environ.get("NNTRACE_STRICT") == "1":
                raise

    def at_exit(self) -> None:
        if os.getpid() != self._pid:
            return
        try:
            if self._session is not None:
                self._session.finish()
            elif self._speaks and not os.path.exists(os.environ.get("NNTRACE_RUN", "")):
                say("nothing was recorded: no framework that nntrace knows (torch) was imported.")
        except Exception as error:
            say(f"the run was not completed properly: {type(error).__name__}: {error}")
            if os.environ.get("NNTRACE_STRICT") == "1":
                raise
        finally:
            if isinstance(getattr(sys, "last_value", None), KeyboardInterrupt):
                _end_as_interrupted()


def _end_as_interrupted() -> None:
    """Let the process end by SIGINT, as it would have without us.

    CPython notes that running a string of code ended in an unhandled interrupt, and forgets it
    when another string is run, as modules do that were imported at exit.
    """
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        return


def _is_launched_process() -> bool:
    """Whether this is the command the user gave, or a direct child of it when that is a script."""
    launched = os.environ.get("NNTRACE_PID", "")
    return launched in (str(os.getpid()), str(os.getppid()))
