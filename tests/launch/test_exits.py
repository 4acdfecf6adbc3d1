"""What is known of an exit code when a process ends, in processes that end in every way."""

import copy
import pickle
import sys

import pytest
from processes import bare

from nntrace.launch.exits import Exit

ENDS = {
    "pass": None,
    "sys.exit()": None,
    "sys.exit(0)": None,
    "sys.exit(3)": "SystemExit: 3",
    "sys.exit('no data')": "SystemExit: no data",
    "sys.exit([1, 2])": "SystemExit: (list)",
    "exit(2)": "SystemExit: 2",
    "try:\n    {}['lr']\nexcept KeyError:\n    sys.exit(1)": "KeyError: 'lr'",
    "try:\n    {}['lr']\nexcept KeyError:\n    sys.exit(0)": None,
    "try:\n    sys.exit(2)\nexcept SystemExit:\n    pass": None,
    "try:\n    sys.exit(2)\nexcept SystemExit:\n    sys.exit(0)": None,
    "try:\n    sys.exit(2)\nexcept SystemExit as end:\n    raise": "SystemExit: 2",
    "import threading\nt = threading.Thread(target=sys.exit, args=[2])\nt.start(); t.join()": None,
}


@pytest.mark.parametrize("end", ENDS)
def test_an_exit_that_ends_the_program_says_whether_it_failed(tmp_path, end):
    words = [
        "import atexit, sys",
        "from nntrace.launch.exits import Exit",
        "asked = Exit()",
        "asked.watch()",
        "atexit.register(lambda: print(asked.error))",
        end,
    ]
    (tmp_path / "ends.py").write_text("\n".join(words) + "\n")
    assert bare(tmp_path, sys.executable, "ends.py").stdout == f"{ENDS[end]}\n"


def test_an_exit_that_says_nothing_new_keeps_the_reason_of_the_one_before():
    """A process of `multiprocessing` ends so after its target has ended with the same code."""
    asked = Exit()
    undos = asked.watch()
    try:
        try:
            raise ValueError("bad row")
        except ValueError:
            with pytest.raises(SystemExit):
                sys.exit(1)
        with pytest.raises(SystemExit) as end:
            sys.exit(1)
        assert asked.error == "ValueError: bad row"
        for another in (pickle.loads(pickle.dumps(end.value)), copy.deepcopy(end.value)):
            assert another.code == 1
    finally:
        for undo in undos:
            undo()


def test_what_the_program_calls_is_its_own_again_after_the_undo():
    before = sys.exit
    undos = Exit().watch()
    assert sys.exit is not before
    for undo in undos:
        undo()
    assert sys.exit is before
