from pathlib import Path
from typing import Any

import pytest
from cli.commands import Command

from nntrace.sampling import Sampling


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `launch` was asked to do, in place of becoming the command."""
    calls: list[dict[str, Any]] = []

    def launch(command: tuple[str, ...], **options: Any) -> int:
        calls.append({"command": command, **options})
        return 7

    monkeypatch.setattr("nntrace.launch.command.launch", launch)
    return calls


def test_the_exit_code_is_the_commands(nntrace: Command, launched: list[dict[str, Any]]) -> None:
    assert nntrace("run", "train.py").code == 7


@pytest.mark.parametrize(
    "command",
    [
        ("train.py", "--lr", "1e-3", "--every", "5", "--help"),
        ("-m", "package.train", "--name", "x", "-v"),
        ("-mhello.world", "-h"),
        ("python", "-u", "train.py", "--", "--live"),
        ("torchrun", "--nproc-per-node", "2", "train.py"),
        ("-c", "print(1)"),
    ],
)
def test_the_command_and_its_options_pass_untouched(
    nntrace: Command, launched: list[dict[str, Any]], command: tuple[str, ...]
) -> None:
    nntrace("run", "--every", "10", *command)
    assert launched[0]["command"] == command
    assert launched[0]["sampling"] == Sampling(every=10)


def test_the_options_reach_the_launcher(nntrace: Command, launched: list[dict[str, Any]]) -> None:
    words = [
        "--live",
        "--budget",
        "5%",
        "--out",
        "here",
        "--name",
        "a",
        "--exact",
        "--include",
        "enc",
        "--include",
        "dec.*",
    ]
    words += ["--exclude", "*.dropout", "--kinds", "activation,update", "--kinds", "param"]
    nntrace("run", *words, "train.py")
    assert launched == [
        {
            "command": ("train.py",),
            "sampling": Sampling(
                budget=0.05,
                exact=True,
                include=("enc", "dec.*"),
                exclude=("*.dropout",),
                kinds=("activation", "update", "param"),
            ),
            "out": Path("here"),
            "name": "a",
            "runs_folder": Path("nntrace-runs"),
            "live": True,
        }
    ]


def test_defaults_come_from_the_configuration(
    nntrace: Command, launched: list[dict[str, Any]]
) -> None:
    nntrace("run", "train.py")
    assert launched[0]["sampling"] == Sampling(budget=0.02)
    Path("nntrace.toml").write_text('budget = "4%"\nevery = 6\nexclude = ["head"]\n')
    nntrace("run", "--every", "7", "train.py")
    assert launched[1]["sampling"] == Sampling(budget=0.04, every=7, exclude=("head",))


@pytest.mark.parametrize(
    "args",
    [
        ("run",),
        ("run", "--budget", "lots", "train.py"),
        ("run", "--every", "0", "train.py"),
        ("run", "--kinds", "activations", "train.py"),
        ("run", "--evry", "3", "train.py"),
        ("run", "no-such-command-anywhere"),
        ("run", "missing.py"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(nntrace: Command, args: tuple[str, ...]) -> None:
    result = nntrace(*args)
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("nntrace: ")
    assert result.err.count("\n") == 1
