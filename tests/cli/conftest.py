import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli.commands import Command, Result
from run_folders import faulty_run, small_run

from nntrace.cli import main


@pytest.fixture
def nntrace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """Run a command in this process, in an empty working folder."""
    monkeypatch.chdir(tmp_path)

    def run(*args: object) -> Result:
        with pytest.raises(SystemExit) as caught:
            main([str(arg) for arg in args])
        assert isinstance(caught.value.code, int)
        return Result(caught.value.code, *capfd.readouterr())

    return run


@pytest.fixture
def process(tmp_path: Path) -> Command:
    """Run a command as a user does, in an empty working folder."""

    def run(*args: object, **variables: str) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "nntrace", *map(str, args)],
            cwd=tmp_path,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def healthy(tmp_path: Path) -> Path:
    return small_run(tmp_path / "healthy")


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    return faulty_run(tmp_path / "faulty")
