"""A run through a pipe: what comes out at the other end is the same run."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_folders import small_run

from nntrace.errors import NntraceError
from nntrace.manifest import Manifest
from nntrace.schema import RunStatus
from nntrace.trace import Trace
from nntrace.watch.stream import Frame, Mirror, frames, read_frame, write_frame


def mirrored(run: Path, folder: Path) -> Mirror:
    """All that is there now, through bytes."""
    pipe = io.BytesIO()
    for frame in frames(run, {}, follow=False):
        write_frame(frame, pipe)
    pipe.seek(0)
    folder.mkdir()
    mirror = Mirror(folder)
    while (frame := read_frame(pipe)) is not None:
        mirror.take(frame)
    return mirror


def test_the_mirror_of_a_run_reads_as_the_run_does(tmp_path) -> None:
    run = small_run(tmp_path / "run")
    mirror = mirrored(run, tmp_path / "mirror")
    here, there = Trace.open(run), Trace.open(mirror.folder)
    for stream in ("sites", "steps", "stats", "data", "events"):
        assert there.table(stream).equals(here.table(stream))
    assert there.status is here.status
    assert there.manifest.name == here.manifest.name
    assert mirror.source == str(run)


def test_only_what_the_reader_does_not_have_is_sent_again(tmp_path) -> None:
    run = small_run(tmp_path / "run")
    mirror = mirrored(run, tmp_path / "mirror")
    again = list(frames(run, mirror.have, follow=False))
    assert [frame.kind for frame in again] == ["hello", "manifest"]
    with next((run / "rank-00000").glob("steps*")).open("ab") as file:
        file.write(b"more")
    (fresh,) = [f for f in frames(run, mirror.have, follow=False) if f.kind == "bytes"]
    assert fresh.data == b"more"
    mirror.take(fresh)
    assert (mirror.folder / fresh.name).read_bytes() == (run / fresh.name).read_bytes()


def test_a_run_that_goes_on_is_followed_until_it_ends(tmp_path) -> None:
    run = small_run(tmp_path / "run", manifest={"status": "running"})
    alive = Manifest.begin("run", (), {})
    alive.write(run)
    seconds = iter(range(1000))
    kinds: list[str] = []
    looks = 0

    def sleep(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 12:
            Manifest(name="run", status=RunStatus.FINISHED).write(run)

    for frame in frames(run, {}, sleep=sleep, clock=lambda: float(next(seconds))):
        kinds.append(frame.kind)
    assert kinds[0] == "hello"
    assert kinds.count("alive") >= 2
    assert kinds[-1] == "manifest"


def test_a_run_killed_over_there_is_killed_here_too(tmp_path) -> None:
    run = small_run(tmp_path / "run", manifest={"status": "running", "host": "", "pid": 0})
    for file in run.rglob("*.arrows"):
        import os

        os.utime(file, (1, 1))
    mirror = mirrored(run, tmp_path / "mirror")
    mirror.touch()
    assert Trace.open(mirror.folder).status is RunStatus.KILLED


def test_a_run_heard_of_is_running_though_its_process_is_not_of_this_machine(tmp_path) -> None:
    run = small_run(tmp_path / "run")
    Manifest.begin("run", (), {}).write(run)
    mirror = mirrored(run, tmp_path / "mirror")
    mirror.touch()
    assert Trace.open(mirror.folder).status is RunStatus.RUNNING


@pytest.mark.parametrize(
    "name", ["../evil.arrows", "/etc/passwd", "rank-00000/../../x", "manifest.json", "rank-0/x"]
)
def test_no_name_leads_out_of_the_mirror(tmp_path, name) -> None:
    with pytest.raises(NntraceError):
        Mirror(tmp_path).take(Frame("bytes", name, 0, data=b"x"))
    assert list(tmp_path.iterdir()) == []


def test_bytes_out_of_order_are_refused(tmp_path) -> None:
    with pytest.raises(NntraceError, match="do not follow"):
        Mirror(tmp_path).take(Frame("bytes", "rank-00000/steps-00000.arrows", 7, data=b"x"))


@given(st.binary(max_size=300))
def test_any_bytes_are_frames_or_a_clear_error(noise) -> None:
    pipe = io.BytesIO(noise)
    try:
        while read_frame(pipe) is not None:
            pass
    except NntraceError:
        pass


@given(st.text(max_size=50), st.integers(0, 2**60), st.binary(max_size=2000), st.integers(0, 200))
def test_a_frame_comes_back_whole_or_not_at_all(text, offset, data, cut) -> None:
    pipe = io.BytesIO()
    frame = Frame("bytes", "name", offset, text, data)
    write_frame(frame, pipe)
    whole = pipe.getvalue()
    assert read_frame(io.BytesIO(whole)) == frame
    if cut:
        assert read_frame(io.BytesIO(whole[:-cut])) is None
