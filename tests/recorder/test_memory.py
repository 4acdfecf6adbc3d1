import os

import pytest

from nntrace.recorder.memory import ResidentMemory

STATM = "123 45 6 7 0 8 0\n"


@pytest.fixture
def memory():
    memory = ResidentMemory()
    yield memory
    memory.close()


def test_resident_memory_grows_with_what_the_process_holds(memory):
    before = memory.read()
    held = bytearray(64 << 20)
    held[::4096] = b"x" * len(held[::4096])
    assert before is None or memory.read() > before + (32 << 20)


def test_the_second_of_its_numbers_counts_pages(tmp_path):
    (tmp_path / "statm").write_text(STATM)
    memory = ResidentMemory(str(tmp_path / "statm"))
    assert memory.read() == memory.read() == 45 * os.sysconf("SC_PAGE_SIZE")
    memory.close()


@pytest.mark.parametrize("text", [None, "", "nothing to count"])
def test_where_the_system_does_not_say_it_there_is_none(tmp_path, text):
    if text is not None:
        (tmp_path / "statm").write_text(text)
    memory = ResidentMemory(str(tmp_path / "statm"))
    assert memory.read() is None
    memory.close()


def test_once_closed_nothing_is_read_and_no_file_is_left_open(tmp_path):
    (tmp_path / "statm").write_text(STATM)
    memory = ResidentMemory(str(tmp_path / "statm"))
    memory.read()
    file = memory._file
    memory.close()
    memory.close()
    assert memory.read() is None
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)


def test_a_file_that_the_program_closed_and_opened_for_itself_stays_open(tmp_path):
    (tmp_path / "statm").write_text(STATM)
    (tmp_path / "program").write_text("its own")
    memory = ResidentMemory(str(tmp_path / "statm"))
    memory.read()
    file = memory._file
    its_own = os.open(tmp_path / "program", os.O_RDONLY)
    os.dup2(its_own, file)
    assert memory.read() is None
    memory.close()
    assert os.read(file, 100) == b"its own"
    os.close(its_own)
    os.close(file)
