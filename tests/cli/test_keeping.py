import time
from pathlib import Path

from cli.commands import Command
from run_folders import small_run


def home(*ages_in_days: float) -> list[Path]:
    now = time.time_ns()
    return [
        small_run(
            Path(f"nntrace-runs/run{number}"),
            manifest={"started_ns": now - int(days * 86_400e9)},
        )
        for number, days in enumerate(ages_in_days)
    ]


def test_packing_says_how_much_smaller_the_run_became(nntrace: Command) -> None:
    home(1)
    result = nntrace("pack", "latest")
    assert (result.code, result.out) == (0, "nntrace-runs/run0\n")
    assert "× smaller" in result.err
    assert nntrace("diagnose", "latest").code == 0


def test_clean_deletes_what_both_conditions_name(nntrace: Command) -> None:
    runs = home(1, 40, 50, 60)
    result = nntrace("clean", "--older-than", "30d", "--keep", "2", "--yes")
    assert result.code == 0
    assert [run.exists() for run in runs] == [True, True, False, False]
    assert result.out.splitlines() == ["nntrace-runs/run2", "nntrace-runs/run3"]


def test_a_dry_run_deletes_nothing(nntrace: Command) -> None:
    runs = home(40)
    result = nntrace("clean", "--keep", "0", "--dry-run")
    assert "would delete 1 run" in result.err
    assert runs[0].exists()


def test_without_a_terminal_clean_needs_yes(nntrace: Command) -> None:
    runs = home(40)
    result = nntrace("clean", "--older-than", "2w")
    assert result.code == 2
    assert "--yes" in result.err
    assert runs[0].exists()


def test_clean_needs_a_condition_that_it_can_read(nntrace: Command) -> None:
    home(40)
    assert "--older-than 30d" in nntrace("clean").err
    assert "not an age" in nntrace("clean", "--older-than", "soon").err


def test_a_running_run_and_what_is_no_run_are_spared(nntrace: Command) -> None:
    import os
    import socket

    running = {"status": "running", "pid": os.getpid(), "host": socket.gethostname()}
    run = small_run(Path("nntrace-runs/a"), manifest=running)
    other = Path("nntrace-runs/notes")
    other.mkdir()
    result = nntrace("clean", "--keep", "0", "--yes")
    assert "nothing to delete" in result.err
    assert run.exists()
    assert other.exists()
