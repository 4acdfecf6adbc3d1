import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nntrace.errors import NotARunError, SchemaVersionError
from nntrace.manifest import Manifest
from nntrace.schema import MANIFEST, SCHEMA_VERSION, RunStatus

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def write(run: Path, content: Any) -> Path:
    run.mkdir(exist_ok=True)
    (run / MANIFEST).write_text(content if isinstance(content, str) else json.dumps(content))
    return run


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    manifest = Manifest.begin("train", ("python", "train.py"), {"every": 3})
    manifest.write(tmp_path)
    assert Manifest.read(tmp_path) == manifest


def test_two_writers_of_one_process_keep_out_of_each_others_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def replace_late(file: Path, target: Path) -> Path:
        assert not Manifest("another rank").create(tmp_path)
        return replace(file, target)

    Manifest("first").write(tmp_path)
    monkeypatch.setattr(Path, "replace", replace_late)
    Manifest("run", status="finished").write(tmp_path)
    assert Manifest.read(tmp_path).status == "finished"
    assert [file.name for file in tmp_path.iterdir()] == [MANIFEST]


def test_writing_leaves_only_the_manifest(tmp_path: Path) -> None:
    Manifest("a").write(tmp_path)
    Manifest("b").write(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [MANIFEST]


def test_the_first_of_several_ranks_creates_the_manifest(tmp_path: Path) -> None:
    assert Manifest("first").create(tmp_path)
    assert not Manifest("second").create(tmp_path)
    assert Manifest.read(tmp_path).name == "first"


def test_a_folder_without_manifest_is_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(NotARunError, match="nntrace runs"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '"x"', "{}", '{"schema": "1"}', '{"schema": true}', "[" * 100_000],
)
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(NotARunError):
        Manifest.read(write(tmp_path, content))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(NotARunError):
        Manifest.read(tmp_path)


def test_a_newer_format_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SchemaVersionError, match=rf"format {SCHEMA_VERSION + 1}.*pip install"):
        Manifest.read(write(tmp_path, {"schema": SCHEMA_VERSION + 1}))


def test_unknown_keys_are_left_out(tmp_path: Path) -> None:
    manifest = Manifest.read(write(tmp_path, {"schema": 1, "name": "a", "colour": "red"}))
    assert manifest == Manifest("a")


def test_a_manifest_without_name_is_called_after_its_folder(tmp_path: Path) -> None:
    assert Manifest.read(write(tmp_path / "try7", {"schema": 1})).name == "try7"


@given(st.dictionaries(st.sampled_from(list(Manifest.__slots__)), JSON_VALUES))
def test_values_of_the_wrong_type_never_get_through(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]
) -> None:
    run = write(tmp_path_factory.mktemp("run"), {**values, "schema": 1})
    manifest = Manifest.read(run)
    assert isinstance(manifest.started_ns, int)
    assert isinstance(manifest.overhead, int | float | None)
    assert all(isinstance(word, str) for word in manifest.command)
    assert all(isinstance(version, str) for version in manifest.versions.values())
    assert manifest.current_status(run) in RunStatus
    json.dumps(manifest.overhead, allow_nan=False)


def test_a_run_of_a_living_process_is_running(tmp_path: Path) -> None:
    manifest = Manifest("a", pid=os.getpid(), host=socket.gethostname())
    assert manifest.current_status(tmp_path) is RunStatus.RUNNING


def test_a_run_whose_process_is_gone_was_killed(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    manifest = Manifest("a", pid=process.pid, host=socket.gethostname())
    assert manifest.current_status(tmp_path) is RunStatus.KILLED


def test_a_run_that_has_ended_keeps_its_status(tmp_path: Path) -> None:
    for status in (RunStatus.FINISHED, RunStatus.FAILED):
        assert Manifest("a", status=status).current_status(tmp_path) is status


def test_a_run_of_another_machine_is_running_while_its_streams_grow(tmp_path: Path) -> None:
    manifest = Manifest("a", pid=1, host="elsewhere")
    assert manifest.current_status(tmp_path) is RunStatus.KILLED
    stream = tmp_path / "rank-00000" / "steps-00000.arrows"
    stream.parent.mkdir()
    stream.touch()
    assert manifest.current_status(tmp_path) is RunStatus.RUNNING
    os.utime(stream, (0, 0))
    assert manifest.current_status(tmp_path) is RunStatus.KILLED
