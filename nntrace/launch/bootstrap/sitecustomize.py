"""Runs at the start of every Python process under `nntrace run`; starts the agent.

It steps aside first: this folder is removed from `sys.path`, and the user's own `sitecustomize` is
imported as it would have been.
"""

import os
import sys


class _Missing:
    """Says that this Python lacks nntrace, once a framework is imported.

    Not sooner: launchers such as `poetry run` and `conda run` are Python programs of their own.
    """

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name in ("torch", "tensorflow", "keras"):
            self.say()

    def at_exit(self) -> None:
        """Say it of a command without a framework, too, if no child of it was traced."""
        is_command = os.environ.get("NNTRACE_PID") in (f"{os.getpid()}", f"-{os.getppid()}")
        if is_command and not os.path.isdir(os.environ.get("NNTRACE_RUN", "")):
            self.say()

    def say(self) -> None:
        if "NNTRACE_TOLD" in os.environ:
            return
        os.environ["NNTRACE_TOLD"] = "1"  # the processes that this one starts need not repeat it
        try:
            sys.stderr.write(
                f"nntrace: not installed for {sys.executable}; this process is not traced. "
                "Install nntrace there, beside the framework.\n"
            )
        except (OSError, ValueError, AttributeError):
            return  # stderr is closed


_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _here]
_ours = sys.modules.pop("sitecustomize")
try:
    import sitecustomize  # noqa: F401  the user's own, which this file has hidden
except ModuleNotFoundError as error:
    if error.name != "sitecustomize":
        raise
finally:
    sys.modules.setdefault("sitecustomize", _ours)  # the import system expects an entry
    try:
        from nntrace.launch.agent import activate
    except ModuleNotFoundError:
        if "NNTRACE_RUN" in os.environ:
            import atexit

            missing = _Missing()
            atexit.register(missing.at_exit)
            sys.meta_path.insert(0, missing)
    else:
        activate()
