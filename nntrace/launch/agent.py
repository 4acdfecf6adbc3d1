"""The agent in a traced process: waits for a framework, installs its adapter, ends the run.

Until the first third-party import its only cost is an import finder; numpy is imported only after a
framework, pyarrow only when something trains.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys

from nntrace.launch.imports import ImportWatcher
from nntrace.notices import say

TYPE_CHECKING = False  # as type checkers read it; importing typing would cost every start-up
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nntrace.launch.command import Settings
    from nntrace.launch.session import Session
    from nntrace.recorder import Recorder


class _FrameworkFinder(ImportWatcher):
    """Tells the agent when a framework has been imported.

    Attributes:
        names_read: the frameworks that there are adapters for; empty until the first import of
            anything but the standard library.
    """

    def __init__(self, agent: Agent) -> None:
        super().__init__(self._is_framework, agent.imported)
        self.agent = agent
        self.names_read: frozenset[str] = frozenset()

    def _is_framework(self, name: str) -> bool:
        if "." in name or name in sys.stdlib_module_names:
            return False
        if not self.names_read:
            # Read here, not at start: a process that imports only the standard library
            # should not pay for looking through the installed packages.
            from nntrace.adapter import installed_adapters

            self.names_read = frozenset(installed_adapters())
        return name in self.names_read


def activate() -> None:
    """Watch for frameworks in this process, if `nntrace run` has set the environment."""
    if "NNTRACE_RUN" not in os.environ:
        return  # the program cleared its environment, except PYTHONPATH
    launched = os.environ.get("NNTRACE_PID", "")
    # The minus says: the child of that process, which could not be replaced by the command.
    is_command = launched in (str(os.getpid()), f"-{os.getppid()}")
    # A direct child is the user's command, too, where that is a shell script.
    agent = Agent(speaks=is_command or launched == str(os.getppid()), is_command=is_command)
    # The processes that this one starts (workers, spawned ranks) need not explain their silence.
    os.environ.pop("NNTRACE_PID", None)
    if os.environ.get("NNTRACE_EXPERIMENT"):
        from nntrace.check.containment import contain

        contain(os.environ["NNTRACE_EXPERIMENT"])
    agent.watch()


def current_agent() -> Agent | None:
    """The agent that watches this process, if any."""
    finders = (finder for finder in sys.meta_path if isinstance(finder, _FrameworkFinder))
    finder = next(finders, None)
    return None if finder is None else finder.agent


class Agent:
    """Traces one process.

    Args:
        settings: the settings of the run, by default from the environment of `nntrace run`.
        speaks: whether to say why, when nothing was recorded.
        is_command: whether this process is the user's command itself.

    Attributes:
        refused: names that were logged with values that are not numbers; each is reported once.
    """

    def __init__(
        self, settings: Settings | None = None, *, speaks: bool, is_command: bool = False
    ) -> None:
        self._pid = os.getpid()
        self._settings = settings
        self._session: Session | None = None
        self._speaks = speaks
        self._is_command = is_command
        self.refused: set[str] = set()
        self._finder = _FrameworkFinder(self)

    @property
    def recorder(self) -> Recorder | None:
        """The recorder, once a framework was imported."""
        return None if self._session is None else self._session.recorder

    @property
    def run(self) -> Path | None:
        """The run folder, once a framework was imported."""
        return None if self._session is None else self._session.recorder.run

    def watch(self) -> None:
        """Hook into every framework: at once if it is loaded, else when it is imported."""
        sys.meta_path.insert(0, self._finder)
        atexit.register(self.at_exit)
        if self._settings is not None:  # by `nntrace.start`: frameworks may be loaded already
            from nntrace.adapter import installed_adapters

            for framework in installed_adapters():
                if framework in sys.modules:
                    self.imported(framework)

    def imported(self, framework: str) -> None:
        """Trace a framework that has just been imported."""
        try:
            with _no_collection():
                from nntrace.launch.session import Session

                if self._session is None:
                    self._session = Session(
                        self._settings,
                        explains_silence=self._speaks,
                        is_command=self._is_command,
                    )
                    self._session.recorder.end_process = self.end_process
                self._session.install(framework)
        except Exception as error:  # never the user's problem
            from nntrace.errors import FrameworkTooOldError

            if isinstance(error, FrameworkTooOldError):
                say(str(error))
            else:
                say(f"could not trace {framework}: {type(error).__name__}: {error}")
            if os.environ.get("NNTRACE_REPLAY"):
                os._exit(1)  # without the capsule the program would train
            if os.environ.get("NNTRACE_STRICT") == "1":
                raise

    def finish(self, failure: BaseException | None) -> None:
        """End the run and stop watching; `failure` is the exception that ended the program."""
        if os.getpid() != self._pid or self._finder not in sys.meta_path:
            return
        sys.meta_path.remove(self._finder)
        atexit.unregister(self.at_exit)
        try:
            if self._session is not None:
                self._session.finish(failure)
            elif self._speaks and not os.path.exists(os.environ.get("NNTRACE_RUN", "")):
                known = self._finder.names_read
                named = f" that nntrace knows ({', '.join(sorted(known))})" if known else ""
                # TensorFlow hands it out as `tf.keras`, so that few know that they use it.
                two = " Keras 2 (`tf_keras`) was: it is not observed." * ("tf_keras" in sys.modules)
                say(f"nothing was recorded: no framework{named} was imported.{two}")
        except Exception as error:
            say(f"the run was not completed properly: {type(error).__name__}: {error}")
            if os.environ.get("NNTRACE_STRICT") == "1":
                raise

    def end_process(self, reason: str) -> None:
        """End an experiment's process at once, without the program's own exit handlers."""
        if self.recorder is not None:
            from nntrace.schema import EventKind

            self.recorder.add_event(EventKind.EXPERIMENT, {"ended": reason})
        self.finish(None)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(0)

    def at_exit(self) -> None:
        """End the run with the process."""
        # The interpreter stores the exception that ended the program here before atexit runs; an
        # interactive one stores the last exception of any statement.
        failure = None if _is_interactive() else getattr(sys, "last_value", None)
        try:
            self.finish(failure)
        finally:
            if isinstance(getattr(sys, "last_value", None), KeyboardInterrupt):
                _end_as_interrupted()


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Put off garbage collections.

    A framework's import leaves so many objects that our own, coming after it, would set off a full
    collection: a fifth of a second, which the program itself would have paid later or never.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _is_interactive() -> bool:
    return hasattr(sys, "ps1") or "IPython" in sys.modules


def _end_as_interrupted() -> None:
    """Let the process end by SIGINT, as it would have without nntrace.

    CPython remembers that code run from a string ended in an unhandled interrupt, but forgets it
    when another string is run, which modules imported at exit do.
    """
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        return
