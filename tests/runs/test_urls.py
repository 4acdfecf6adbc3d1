import shutil
import socket
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import fsspec
import pytest
from run_folders import small_run, steps

import nntrace
from nntrace.errors import NntraceError, NotARunError
from nntrace.keep import pack


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


@pytest.fixture
def served(tmp_path: Path):
    """Serves `tmp_path` over HTTP: `served(lists_folders) -> URL`."""
    servers = []

    def serve(lists_folders: bool) -> str:
        class Handler(SimpleHTTPRequestHandler):
            def list_directory(self, path):
                return super().list_directory(path) if lists_folders else self.send_error(403)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=tmp_path))
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("lists_folders", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_a_run_is_read_from_a_web_server(cloud, served, tmp_path, lists_folders, packed) -> None:
    small_run(tmp_path / "runs" / "try7")
    if packed:
        pack(tmp_path / "runs" / "try7")
    kept = Path("rank-00000", "capsules", "capsule-000.json")
    (tmp_path / "runs" / "try7" / kept).parent.mkdir()
    for file in (kept, kept.with_suffix(".safetensors")):
        (tmp_path / "runs" / "try7" / file).write_bytes(b"kept")
    url = f"{served(lists_folders)}/runs/try7"
    for _ in range(2):  # the second time from the cache
        trace = nntrace.open(url)
        assert len(trace.steps) == 6
        assert trace.series("activation", "mean").shape == (6, 2)
        for file in (kept, kept.with_suffix(".safetensors")):
            assert (trace.path / file).read_bytes() == b"kept"
    with pytest.raises(NotARunError, match="not a run folder: it has no manifest"):
        nntrace.open(f"{url}-other")


def test_a_web_server_that_does_not_answer_is_one_clear_error(cloud) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and does not listen
        with pytest.raises(NntraceError, match="cannot be read: ClientConnectorError"):
            nntrace.open(f"http://127.0.0.1:{unused.getsockname()[1]}/try7")


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
