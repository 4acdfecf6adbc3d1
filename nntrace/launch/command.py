"""`nntrace run`: set the environment, put the bootstrap first on `PYTHONPATH`, become the command.

This one mechanism serves every launcher. Start-up counts: only light standard-library modules are
imported.
"""

import os
import shutil
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

from nntrace.errors import NntraceError
from nntrace.experiment import Experiment
from nntrace.notices import say
from nntrace.ranks import job
from nntrace.runs.naming import unique_name
from nntrace.sampling import Sampling
from nntrace.schema import MANIFEST

# They start programs without the environment that they were given.
_ELSEWHERE: Final = ("docker", "podman", "nerdctl", "kubectl", "ssh")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the launcher passes to every process it starts, through `NNTRACE_*` variables."""

    run: str
    command: tuple[str, ...]
    sampling: Sampling = field(default_factory=Sampling)
    experiment: Experiment | None = None
    replays: str = ""  # the file of the capsule to replay instead of a training

    def environment(self) -> dict[str, str]:
        """The environment variables that hold the settings."""
        chosen = {
            option.name: getattr(self.sampling, option.name)
            for option in fields(Sampling)
            if getattr(self.sampling, option.name) != option.default
        }
        return {
            "NNTRACE_RUN": self.run,
            "NNTRACE_COMMAND": "\x1f".join(self.command),
            "NNTRACE_SAMPLING": repr(chosen) if chosen else "",
            "NNTRACE_EXPERIMENT": "" if self.experiment is None else self.experiment.encode(),
            "NNTRACE_REPLAY": self.replays,
        }

    @classmethod
    def from_environment(cls) -> "Settings":
        """The settings of the launcher that started this process or an ancestor of it."""
        from ast import literal_eval  # the launcher itself starts faster without

        chosen = os.environ.get("NNTRACE_SAMPLING", "")
        return cls(
            run=os.environ["NNTRACE_RUN"],
            command=tuple(os.environ.get("NNTRACE_COMMAND", "").split("\x1f")),
            sampling=Sampling(**literal_eval(chosen)) if chosen else Sampling(),
            experiment=Experiment.decode(os.environ.get("NNTRACE_EXPERIMENT", "")),
            replays=os.environ.get("NNTRACE_REPLAY", ""),
        )


def launch(
    command: tuple[str, ...],
    *,
    sampling: Sampling,
    out: Path | None,
    name: str | None,
    runs_folder: Path,
    live: bool,
) -> int:
    """Run the command under trace; does not return on Linux and macOS, unless `live`.

    `out` is the run folder; by default a new one in `runs_folder`.

    Returns:
        The command's exit code, where the process could not be replaced.

    Raises:
        NntraceError: no such command, or a run folder that cannot be written.
    """
    words = resolve(command)
    run = prepare_run(out, name, runs_folder, otherwise=script_name(words))
    settings = Settings(str(run), command, sampling)
    is_replaced = os.name == "posix" and not live
    started_by = str(os.getpid()) if is_replaced else f"-{os.getpid()}"
    environment = {**traced_environment(settings), "NNTRACE_PID": started_by}
    warn_if_disabled(words)
    if live:
        from nntrace.watch.live import launch_live

        return launch_live(words, environment, run)
    sys.stdout.flush()
    sys.stderr.flush()
    if is_replaced:
        os.execve(words[0], words, environment)
    import subprocess  # Windows cannot replace a process

    return subprocess.call(words, env=environment)


def traced_environment(settings: Settings) -> dict[str, str]:
    """This process's environment, extended so that every Python process in it is traced."""
    environment = {**os.environ, **settings.environment()}
    bootstrap = str(Path(__file__).parent / "bootstrap")
    inherited = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join(
        [bootstrap, inherited] if inherited else [bootstrap]
    )
    return environment


def resolve(command: tuple[str, ...]) -> list[str]:
    """The command with its program resolved; `train.py` and `-m pkg` run in this Python.

    Raises:
        NntraceError: no program of that name.
    """
    first = command[0]
    if first.startswith("-"):
        if first in ("-m", "-c") and len(command) > 1:
            return [sys.executable, *command]
        raise NntraceError(f"no such option: {first}. `nntrace run --help` shows the usage.")
    if first.endswith((".py", ".pyc", ".pyw")):
        if not os.path.isfile(first):
            raise NntraceError(f"there is no file {first} here ({os.getcwd()}).")
        return [sys.executable, *command]
    program = shutil.which(first)
    if program is None:
        raise NntraceError(f"cannot run {first}: {_no_command(first)}")
    return [program, *command[1:]]


def _no_command(first: str) -> str:
    """Why the first word of a command cannot be run, and what to type instead."""
    path = Path(first)
    if path.is_dir():
        if (path / "__main__.py").is_file():
            return f"it is a folder: nntrace run python {first}."
        return "it is a folder: name the script in it."
    if not path.is_file():
        return "no such command. Is it installed, or the path mistyped?"
    if os.access(path, os.X_OK):
        return f"it is in this folder, not on the PATH: nntrace run .{os.sep}{first}."
    with path.open("rb") as file:
        line = file.readline()
    if line.startswith(b"#!") and b"python" in line:
        return f"it is not executable: nntrace run python {first}."
    if line.startswith(b"#!") or path.suffix == ".sh":
        return f"it is not executable: nntrace run sh {first}."
    return f"it is a file but not executable: chmod +x {first}."


def prepare_run(out: Path | None, name: str | None, runs_folder: Path, *, otherwise: str) -> Path:
    """The absolute path of the run folder, not created yet, but known to be creatable.

    An earlier run in `out` is moved aside, but not by the processes of one job: another of them
    may have begun the run.

    Args:
        out: the run folder; by default a new one in `runs_folder`.
        name: the beginning of the new folder's name, as the user gave it.
        runs_folder: the folder for new runs.
        otherwise: used in place of `name` when that is not given.

    Raises:
        NntraceError: the folder cannot be written, or both `out` and `name` are given.
    """
    if out is not None and name is not None:
        raise NntraceError(
            f"a run in --out is named after its folder, {out.name}: leave out --name or --out."
        )
    if out is not None:
        run = Path(os.path.abspath(out))
        if job() is None:
            _make_room(run)
    else:
        run = Path(os.path.abspath(runs_folder)) / unique_name(name or otherwise)
    _probe(run.parent)
    return run


def _probe(folder: Path) -> None:
    """Check by trying that a run can be created in a folder; permission bits alone do not tell.

    Raises:
        NntraceError: nothing can be created there.
    """
    while not folder.exists():
        folder = folder.parent
    probe = folder / f".nntrace-{os.urandom(8).hex()}"  # in containers processes may share a pid
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise NntraceError(
            f"cannot write to {folder}: {error.strerror}. Choose another folder with --out DIR."
        ) from error


def _make_room(run: Path) -> None:
    """Free `--out` for a new run; an earlier run in it is renamed, never overwritten."""
    if not run.exists():
        return
    if not run.is_dir():
        raise NntraceError(f"--out {run} is a file. Choose another folder.")
    if not any(run.iterdir()):
        run.rmdir()
        return
    if not (run / MANIFEST).exists():
        raise NntraceError(f"--out {run} holds other files. Choose a new or an empty folder.")
    from nntrace.manifest import Manifest
    from nntrace.schema import RunStatus

    if Manifest.read(run).current_status(run) is RunStatus.RUNNING:
        raise NntraceError(f"--out {run} holds a run that is still going. Choose another folder.")
    number = 1
    while (kept := run.with_name(f"{run.name}.{number}")).exists():
        number += 1
    try:
        run.rename(kept)
    except OSError as error:
        raise NntraceError(f"cannot move the earlier run in {run} aside: {error}.") from error
    say(f"{run} held an earlier run; it is now {kept}.")


def script_name(words: list[str]) -> str:
    """The default name of a run: the name of the script or module, else of the program."""
    for index, word in enumerate(words):
        if word == "-m" and index + 1 < len(words):
            return words[index + 1].rpartition(".")[2]
        if word.endswith((".py", ".sh")):
            return Path(word).stem
    return Path(words[0]).name


def warn_if_disabled(words: list[str]) -> None:
    """Warn when a program ignores the environment, or what it starts runs where that is another."""
    program = Path(words[0]).name
    if program in _ELSEWHERE:
        say(
            f"what {program} starts is not traced, as variables do not reach it: put `nntrace run` "
            f"inside, before the command that {program} is given."
        )
    if "python" not in program:
        return
    for word in words[1:]:
        if not word.startswith("-") or word in ("-m", "-c", "-"):
            return
        if word[1:].isalpha() and word[1] not in "XW" and set("EIS") & set(word):
            say(f"python {word} disables the trace: it ignores PYTHONPATH or sitecustomize.")
            return
