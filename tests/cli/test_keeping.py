import os
import socket
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


def check(name: str, days: float, *others: dict[str, object]) -> Path:
    """The folder of a check with a finished baseline and `others`, which are manifests."""
    folder = Path("nntrace-runs") / name
    told = {"config": {"experiment": {"name": "baseline"}}}
    started = {"started_ns": time.time_ns() - int(days * 86_400e9)}
    small_run(folder / "baseline", manifest=told | started)
    for number, manifest in enumerate(others):
        small_run(folder / f"other{number}", manifest=manifest)
    return folder


def test_clean_deletes_checks_counted_by_themselves(nntrace: Command) -> None:
    runs = home(1, 2)
    old, new = check("a-check", 3), check("b-check", 2)
    result = nntrace("clean", "--keep", "1", "--yes")
    assert result.err.startswith("nntrace: deleted 1 run and 1 check, ")
    assert [path.exists() for path in (*runs, new, old)] == [True, False, True, False]


def test_clean_leaves_a_check_alone_while_an_experiment_runs(nntrace: Command) -> None:
    mine = {"status": "running", "pid": os.getpid(), "host": socket.gethostname()}
    going = check("a-check", 40, mine)
    assert "nothing to delete" in nntrace("clean", "--keep", "0", "--yes").err
    assert going.exists()
