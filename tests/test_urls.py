import shutil
from pathlib import Path

import fsspec
import pytest
from run_folders import small_run, steps

import nntrace
from nntrace.errors import NntraceError, NotARunError


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An object store in memory, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()


def test_a_run_is_read_from_a_url(cloud, tmp_path: Path) -> None:
    cloud.put(str(small_run(tmp_path / "try7")), "/bucket/try7", recursive=True)
    trace = nntrace.open("memory://bucket/try7")
    assert len(trace.steps) == 6
    assert trace.path is not None
    assert trace.path.name == "try7"


def test_a_run_that_has_grown_is_brought_up_to_date(cloud, tmp_path: Path) -> None:
    cloud.put(str(small_run(tmp_path / "try7")), "/bucket/try7", recursive=True)
    assert len(nntrace.open("memory://bucket/try7").steps) == 6
    longer = small_run(tmp_path / "longer" / "try7", count=9, steps=steps(9))
    cloud.put(str(longer), "/bucket/", recursive=True)
    assert len(nntrace.open("memory://bucket/try7/").steps) == 9


def test_only_the_files_of_a_run_folder_are_fetched(cloud, tmp_path: Path) -> None:
    cloud.put(str(small_run(tmp_path / "try7")), "/bucket/try7", recursive=True)
    for name in ("evil.py", "rank-00000/.hidden", "rank-00000/a/b/c.arrows", "other/manifest.json"):
        cloud.pipe(f"/bucket/try7/{name}", b"x")
    path = nntrace.open("memory://bucket/try7").path
    assert path is not None
    assert {entry.name for entry in path.iterdir()} == {"manifest.json", "rank-00000"}
    assert not (path / "rank-00000" / "a").exists()


def test_a_url_without_a_run_is_one_clear_error(cloud) -> None:
    with pytest.raises(NotARunError, match=r"memory://bucket/nothing is not a run folder"):
        nntrace.open("memory://bucket/nothing")
    with pytest.raises(NntraceError, match="unheard-of://x"):
        nntrace.open("unheard-of://x/y")


@pytest.mark.parametrize("kind", ["file", "zip"])
def test_a_run_is_read_from_a_real_folder_and_from_an_archive(cloud, tmp_path: Path, kind) -> None:
    small_run(tmp_path / "runs" / "try7")
    url = (tmp_path / "runs" / "try7").as_uri()
    if kind == "zip":
        archive = shutil.make_archive(str(tmp_path / "runs"), "zip", tmp_path / "runs")
        url = f"zip://try7::{Path(archive).as_uri()}"
    trace = nntrace.open(url)
    assert len(trace.steps) == 6
    assert trace.path is not None
    assert tmp_path / "cache" in trace.path.parents
