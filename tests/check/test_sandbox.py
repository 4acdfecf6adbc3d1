"""What a sandbox shows of the user's folder, and what a program's writes do to it."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import pytest

from nntrace.check.children import Child, Command
from nntrace.check.containment import ESCAPES
from nntrace.check.plan import EXPERIMENTS
from nntrace.check.sandbox import inside, make_sandbox, make_surroundings
from nntrace.experiment import BASELINE, Experiment


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "train.py").write_text("print('hello')")
    (folder / "log.csv").write_text("step\n")
    (folder / "data" / "table.csv").write_text("1,2")
    (folder / "model.pt").write_bytes(b"weights")
    h5py.File(folder / "data" / "numbers.nc", "w").close()
    (folder / "nntrace-runs").mkdir()
    return folder


@pytest.fixture
def contained(folder, tmp_path):
    """Run a program in the sandbox; gives the places it wrote to outside."""
    notes = tmp_path / "notes"

    def run(code: str) -> list[str]:
        home = tmp_path / f"home-{len(list(tmp_path.glob('home-*')))}"
        home.mkdir()
        around = home / "around"
        sandbox = make_surroundings(folder, around)
        make_sandbox(folder, sandbox, (folder / "nntrace-runs",))
        experiment = Experiment(sandbox=str(sandbox), surroundings=str(around), folder=str(folder))
        scratch = home / "scratch"
        scratch.mkdir()
        begin = f"from nntrace.check.containment import contain; contain({experiment.encode()!r})\n"
        subprocess.run(
            [sys.executable, "-c", begin + code],
            cwd=sandbox,
            env={**os.environ, ESCAPES: str(notes), "TMPDIR": str(scratch)},
            check=True,
        )
        return notes.read_text().splitlines() if notes.exists() else []

    return run


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_lies_beside_the_folder_is_read_and_not_written_to(folder, contained, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "table.csv").write_text("1,2")
    (tmp_path / "notes.txt").write_text("mine")
    code = "assert open('../data/table.csv').read() == '1,2'; open('../notes.txt', 'a').write('!')"
    escaped = contained(code + "; open('../new.txt', 'w').write('x')")
    assert escaped == []
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "new.txt").exists()
    (outside,) = contained("open('../data/table.csv', 'a').write('3')")
    assert outside == repr(("written", str(tmp_path / "data" / "table.csv")))


def test_everything_is_there_but_what_is_left_out(folder, tmp_path):
    sandbox = tmp_path / "sandbox"
    sandbox.mkdir()
    make_sandbox(folder, sandbox, (folder / "nntrace-runs",))
    assert content(sandbox) == content(folder)
    assert not (sandbox / "nntrace-runs").exists()
    assert (sandbox / "log.csv").is_symlink()
    assert not (sandbox / "train.py").is_symlink(), "what stands beside it is found by its path"
    assert not (sandbox / "model.pt").is_symlink(), "native code could write through a link"


@pytest.mark.parametrize(
    "code",
    [
        "open('new.txt', 'w').write('x')",
        "open('log.csv', 'a').write('1')",
        "open('log.csv', 'w').write('1')",
        "open('data/table.csv', 'r+').write('9')",
        "open('data/more.csv', 'w').write('9')",
        "import os; os.remove('log.csv')",
        "import os; os.replace('log.csv', 'old.csv')",
        "import os; os.mkdir('runs'); open('runs/a', 'w').write('x')",
        "import shutil; shutil.rmtree('data')",
        "import pathlib; pathlib.Path('model.pt').write_bytes(b'other')",
        "import h5py; h5py.File('data/numbers.nc', 'a').create_dataset('b', data=[1])",
    ],
)
def test_no_write_reaches_the_users_folder(folder, contained, code):
    before = content(folder)
    assert contained(code) == []
    assert content(folder) == before


def test_what_was_there_is_there_before_more_is_appended(contained):
    contained("open('log.csv', 'a').write('1'); assert open('log.csv').read() == 'step\\n1'")


def test_a_write_elsewhere_happens_and_is_noted(contained, tmp_path):
    place = tmp_path / "elsewhere.txt"
    assert contained(f"open({str(place)!r}, 'w').write('x')") == [repr(("written", str(place)))]
    assert place.read_text() == "x"


def test_what_native_code_writes_elsewhere_is_noted_and_what_it_reads_is_not(contained, tmp_path):
    code = f"""
import os
os.chdir({str(tmp_path)!r})
import h5py, numpy, pyarrow, pyarrow.parquet
from safetensors.numpy import load_file, save_file
save_file({{"a": numpy.ones(2)}}, "a.safetensors")
load_file("a.safetensors")
h5py.File("a.h5", "w").close()
h5py.File("a.h5", "r").close()
pyarrow.parquet.write_table(pyarrow.table({{"a": [1]}}), "a.parquet")
numpy.savez("a.npz", numpy.ones(2))
"""
    places = ("a.safetensors", "a.h5", "a.parquet", "a.npz")
    assert contained(code) == [repr(("written", str(tmp_path / place))) for place in places]


def test_what_a_script_writes_beside_itself_stays_inside(folder, tmp_path):
    code = "from pathlib import Path; (Path(__file__).resolve().parent / 'x').write_text('x')"
    (folder / "train.py").write_text(code)
    sandbox = tmp_path / "sandbox"
    sandbox.mkdir()
    make_sandbox(folder, sandbox)
    words = [inside(str(folder / "train.py"), folder, sandbox)]
    subprocess.run([sys.executable, *words], cwd=sandbox, check=True)
    assert (sandbox / "x").exists()
    assert not (folder / "x").exists()


@pytest.mark.parametrize(
    ("word", "turned"),
    [
        ("/me/code/train.py", "/box/train.py"),
        ("/me/code", "/box"),
        ("--data=/me/code/data", "--data=/box/data"),
        ("--set=data=/me/code/data", "--set=data=/box/data"),
        ("/me/code/lr=0.1/best.yaml", "/box/lr=0.1/best.yaml"),
        ("--from=/me/code/lr=0.1", "--from=/box/lr=0.1"),
        ("/me/codes/train.py", "/me/codes/train.py"),
        ("train.py", "train.py"),
        ("--lr=0.1", "--lr=0.1"),
    ],
)
def test_paths_into_the_folder_are_turned_to_its_stand_in(word, turned):
    assert inside(word, Path("/me/code"), Path("/box")) == turned


def test_a_model_file_that_cannot_be_copied_is_linked(folder, tmp_path, monkeypatch):
    def refuse(source, target):
        Path(target).write_bytes(b"half")
        raise PermissionError(source)

    monkeypatch.setattr(shutil, "copy2", refuse)
    sandbox = tmp_path / "sandbox"
    sandbox.mkdir()
    make_sandbox(folder, sandbox)
    assert (sandbox / "model.pt").readlink() == folder / "model.pt"


def test_nothing_is_left_of_a_sandbox_that_cannot_be_made(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "runs").mkdir()
    command = Command(("nothing",), (str(tmp_path / "nothing"),), folder)
    with pytest.raises(FileNotFoundError):
        Child(command, EXPERIMENTS[BASELINE].given(1, 1.0), tmp_path / "runs" / "one", 1e9)
    assert not list(tmp_path.glob("nntrace-check-*"))


def test_machines_and_programs_that_the_script_reaches_are_noted(contained):
    code = """
import socket, subprocess
with socket.socket() as one:
    one.settimeout(0.01)
    try: one.connect(("192.0.2.1", 9))
    except OSError: pass
    try: one.connect(("127.0.0.1", 9))
    except OSError: pass
with socket.socket(socket.AF_UNIX) as one:
    try: one.connect("/nowhere")
    except OSError: pass
subprocess.run(["true"])
subprocess.run(["uname"], capture_output=True)
"""
    assert contained(code) == [repr(("asked", "192.0.2.1")), repr(("started", "true"))]


def test_reading_elsewhere_is_no_write(contained):
    assert contained("open('/etc/hostname').read(); open('/dev/null', 'w')") == []
    assert contained("import os; os.makedirs('/etc', exist_ok=True)") == []


def test_a_folder_too_large_to_stand_in_for_is_shared_and_named(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("nntrace.check.sandbox._MOST_ENTRIES", 0)
    sandbox = tmp_path / "sandbox"
    sandbox.mkdir()
    shared = make_sandbox(folder, sandbox)
    assert str(folder / "data") in shared
    assert (sandbox / "data" / "table.csv").read_text() == "1,2"
