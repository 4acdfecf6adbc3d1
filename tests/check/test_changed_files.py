"""The backstop of the sandbox: what native code wrote to the user's folders."""

import ctypes
import os
import subprocess
import sys

import pytest

from nntrace.check.changed_files import changed, folders_of, states
from nntrace.check.containment import ESCAPES
from nntrace.experiment import Experiment


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "log.csv").write_text("step\n")
    (folder / "train.py").write_text("")
    return folder


def write_unseen(place):
    """As a library in C does."""
    library = ctypes.CDLL(None)
    library.fopen.restype = ctypes.c_void_p
    library.fputs.argtypes = (ctypes.c_char_p, ctypes.c_void_p)
    library.fclose.argtypes = (ctypes.c_void_p,)
    file = library.fopen(os.fsencode(place), b"w")
    library.fputs(b"written by native code", file)
    library.fclose(file)


def test_what_native_code_writes_is_seen_afterwards(folder):
    before = states((folder,), ())
    write_unseen(folder / "new.bin")
    write_unseen(folder / "data" / "log.csv")
    found = changed(before, states((folder,), ()))
    assert found == (str(folder / "data" / "log.csv"), str(folder / "new.bin"))


def test_reading_changes_nothing_and_the_runs_are_passed_over(folder):
    runs = folder / "nntrace-runs"
    before = states((folder,), (runs,))
    (folder / "data" / "log.csv").read_text()
    runs.mkdir()
    (runs / "run").write_text("x")
    assert changed(before, states((folder,), (runs,))) == ()


def test_the_file_that_the_check_prints_to_is_passed_over(folder):
    look = (
        "from pathlib import Path; from nntrace.check.changed_files import states; "
        "print(*states((Path.cwd(),), ()))"
    )
    with (folder / "check.txt").open("w") as file:
        subprocess.run([sys.executable, "-c", look], cwd=folder, stdout=file, check=True)
    found = (folder / "check.txt").read_text()
    assert "train.py" in found
    assert "check.txt" not in found


def test_in_a_folder_too_large_to_be_seen_whole_only_what_was_seen_is_compared(folder, monkeypatch):
    monkeypatch.setattr("nntrace.check.changed_files._MOST_ENTRIES", 1)
    before = states((folder,), ())
    (folder / "another").write_text("x")
    (folder / "train.py").write_text("pass")
    assert changed(before, states((folder,), ())) == (str(folder / "train.py"),)


def test_the_folder_of_a_script_elsewhere_is_looked_at_too(folder, tmp_path):
    assert folders_of(("python", "train.py"), folder) == (folder,)
    assert folders_of(("python", "-m", "package.train"), folder) == (folder,)
    (tmp_path / "other").mkdir()
    script = tmp_path / "other" / "train.py"
    assert folders_of(("python", str(script)), folder) == (folder, script.parent)


def test_a_picture_that_opencv_overwrites_is_a_copy(folder, tmp_path):
    """With a module of that name: its `imwrite` opens the file unseen, as OpenCV does."""
    sandbox, library = tmp_path / "sandbox", tmp_path / "library"
    sandbox.mkdir()
    library.mkdir()
    (folder / "picture.png").write_bytes(b"precious")
    (sandbox / "picture.png").symlink_to(folder / "picture.png")
    (library / "cv2.py").write_text(
        "import os, pathlib\ndef imwrite(filename, image): os.system(f'printf x > {filename}')\n"
    )
    experiment = Experiment(sandbox=str(sandbox), folder=str(folder))
    code = (
        f"import sys; sys.path.insert(0, {str(library)!r})\n"
        f"from nntrace.check.containment import contain; contain({experiment.encode()!r})\n"
        "import cv2; cv2.imwrite('picture.png', [])"
    )
    environment = {**os.environ, ESCAPES: str(tmp_path / "notes")}
    subprocess.run([sys.executable, "-c", code], cwd=sandbox, env=environment, check=True)
    assert (folder / "picture.png").read_bytes() == b"precious"
    assert (sandbox / "picture.png").read_bytes() == b"x"
