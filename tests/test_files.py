import errno
import os
from pathlib import Path

import pytest

from nntrace.files import replacing


def fill_the_disk(file: Path) -> None:
    with replacing(file) as new:
        new.write_text("ne")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_fills_up_leaves_the_older_file(tmp_path: Path) -> None:
    file = tmp_path / "findings.json"
    file.write_text("old")
    with pytest.raises(OSError, match="No space") as caught:
        fill_the_disk(file)
    assert (file.read_text(), caught.value.filename) == ("old", str(file))
    assert os.listdir(tmp_path) == ["findings.json"]


def test_a_whole_file_takes_the_place_of_the_older_one_with_its_permissions(tmp_path: Path) -> None:
    file = tmp_path / "findings.json"
    file.write_text("old")
    file.chmod(0o600)
    (tmp_path / "link").symlink_to(file)
    with replacing(tmp_path / "link") as new:
        new.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o600)


def test_what_is_no_file_is_written_to_as_it_is() -> None:
    with replacing(Path(os.devnull)) as device:
        assert device == Path(os.devnull)


def test_a_folder_that_is_not_there_is_told_by_the_name_that_was_given(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError) as caught,
        replacing(tmp_path / "no" / "file") as new,
    ):
        new.write_text("")
    assert caught.value.filename == str(tmp_path / "no" / "file")
