import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from cli.commands import Command
from run_folders import faulty_run, small_run

import nntrace as package
from nntrace.cli import COMMANDS, cli

HEAVY = ("numpy", "pyarrow", "rich", "importlib.metadata", "tomllib", "nntrace.trace")


def test_version_is_the_package_version(nntrace: Command) -> None:
    result = nntrace("--version")
    assert (result.code, result.out) == (0, f"nntrace {package.__version__}\n")


@pytest.mark.parametrize("args", [(), ("--help",), ("-h",)])
def test_help_lists_each_command_with_its_first_line(nntrace: Command, args: list[str]) -> None:
    result = nntrace(*args)
    assert result.code == 0
    for command in COMMANDS:
        assert f"\n  {command} " in result.out
    assert "..." not in result.out.partition("Commands:")[2]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_says_what_it_does(command: str) -> None:
    found = cli.get_command(click.Context(cli), command)
    assert found is not None
    options = [param for param in found.params if isinstance(param, click.Option)]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_with_examples(nntrace: Command, command: str) -> None:
    result = nntrace(command, "--help")
    assert result.code == 0
    assert "Examples:" in result.out
    assert f"  nntrace {command}" in result.out
    assert "\b" not in result.out


def test_a_mistyped_command_gets_a_suggestion(nntrace: Command) -> None:
    result = nntrace("diagnos")
    assert result.code == 2
    assert result.err == "nntrace: there is no command 'diagnos'. Did you mean 'diagnose'?\n"


def test_an_unknown_command_points_to_the_help(nntrace: Command) -> None:
    assert "`nntrace --help`" in nntrace("xyzzy").err


def test_a_script_given_as_a_command_points_to_run(nntrace: Command) -> None:
    assert "nntrace run train.py" in nntrace("train.py").err


def test_an_unknown_option_is_one_line(nntrace: Command) -> None:
    result = nntrace("diagnose", "--colour")
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert "`nntrace diagnose --help`" in result.err


def test_a_missing_option_is_one_sentence_with_its_choices(nntrace: Command) -> None:
    result = nntrace("export")
    assert result.err == (
        "nntrace: missing option '--to'. Choose from: tensorboard, parquet, csv, wandb. "
        "`nntrace export --help` shows the usage.\n"
    )


def test_a_message_with_control_characters_stays_one_line(nntrace: Command) -> None:
    result = nntrace("show", "a\nb\x1b[31m")
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert "\x1b" not in result.err


def test_a_working_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    script = (
        "import os, shutil, sys; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone');"
        "from nntrace.cli import main; main(['runs'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_run_loads_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import nntrace.launch.command\n"
        "nntrace.launch.command.launch = lambda command, **options: 0\n"
        "from nntrace.cli import main\n"
        "try: main(['run', 'train.py'])\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules and name not in before])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_importing_nntrace_loads_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys; before = set(sys.modules); import nntrace;"
        "print(sorted(n for n in set(sys.modules) - before if not n.startswith('nntrace')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.skipif(os.name != "posix", reason="POSIX pipes")
def test_a_closed_pipe_is_quiet(tmp_path: Path) -> None:
    command = f"{sys.executable} -m nntrace rules --format markdown | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "# The rules\n"
    assert done.stderr == ""


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_ctrl_c_is_quiet_and_exits_with_130(tmp_path: Path) -> None:
    script = (
        "import os, signal, nntrace.runs.find\n"
        "def stop(*_): os.kill(os.getpid(), signal.SIGINT)\n"
        "nntrace.runs.find.list_runs = stop\n"
        "from nntrace.cli import main\n"
        "main(['runs'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr.strip() == ""  # a line break, so that the prompt stands on its own


def completed(folder: Path, typed: str) -> list[str]:
    """What bash offers for the last word."""
    words = typed.split(" ")
    done = subprocess.run(
        [Path(sys.executable).with_name("nntrace")],
        cwd=folder,
        env={
            **os.environ,
            "_NNTRACE_COMPLETE": "bash_complete",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(words) - 1),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize("command", ["diagnose", "diff a", "monitor", "export --to csv", "pack b"])
def test_the_shell_completes_the_names_of_runs_newest_first(tmp_path: Path, command: str) -> None:
    for started, name in enumerate(("wide-1", "deep-1", "wide-2")):
        small_run(tmp_path / "nntrace-runs" / name, manifest={"started_ns": started})
    assert completed(tmp_path, f"nntrace {command} wide") == ["plain,wide-2", "plain,wide-1"]
    assert completed(tmp_path, f"nntrace {command} la") == ["plain,latest"]


def test_the_shell_completes_folders_where_no_run_has_that_name(tmp_path: Path) -> None:
    assert completed(tmp_path, "nntrace diagnose ../x") == ["dir,../x"]


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="only Linux has a disk that is always full"
)
@pytest.mark.parametrize("command", ["diagnose --format json", "report"])
def test_the_file_that_a_full_disk_did_not_take_is_named(
    nntrace: Command, tmp_path: Path, command: str
) -> None:
    faulty_run(tmp_path / "run")
    (tmp_path / "out").symlink_to("/dev/full")
    result = nntrace(*command.split(), "run", "-o", "out")
    assert (result.code, result.err) == (2, "nntrace: out: No space left on device.\n")
