import io
import subprocess
import sys
from pathlib import Path

import pytest
from run_folders import small_run

from nntrace.watch.stream import Frame, read_frame


def stream(*words: str, cwd: Path, said: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "nntrace", "stream", *words]
    return subprocess.run(command, cwd=cwd, input=said, capture_output=True, check=False)


def read(data: bytes) -> list[Frame]:
    pipe = io.BytesIO(data)
    return list(iter(lambda: read_frame(pipe), None))  # type: ignore[arg-type]


@pytest.mark.parametrize("words", [(), ("latest",), (".",), ("nntrace-runs",), ("new",)])
def test_the_newest_run_is_found_by_what_one_would_type_from_afar(tmp_path, words) -> None:
    small_run(tmp_path / "nntrace-runs" / "old", manifest={"started_ns": 1})
    small_run(tmp_path / "nntrace-runs" / "new", manifest={"started_ns": 2})
    result = stream(*words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    hello, *_, manifest = read(result.stdout)
    assert hello.text.endswith("/new")
    assert manifest.kind == "manifest"


def test_resume_leaves_out_what_the_reader_has(tmp_path) -> None:
    run = small_run(tmp_path / "run")
    sizes = {str(f.relative_to(run)): f.stat().st_size for f in run.rglob("*.arrows")}
    import json

    said = json.dumps(sizes).encode() + b"\n"
    frames = read(stream("run", "--resume", cwd=tmp_path, said=said).stdout)
    assert [frame.kind for frame in frames] == ["hello", "manifest"]


@pytest.mark.parametrize("said", [b"", b"nonsense\n", b"[1]\n", b'{"a": {}}\n'])
def test_resume_without_sizes_is_one_line_and_exit_2(tmp_path, said) -> None:
    small_run(tmp_path / "run")
    result = stream("run", "--resume", cwd=tmp_path, said=said)
    assert result.returncode == 2
    assert result.stderr.count(b"\n") == 1


def test_a_missing_run_is_one_line_and_exit_2(tmp_path) -> None:
    result = stream("none", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.count(b"\n") == 1
