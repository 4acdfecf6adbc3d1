"""What a check does when it is interrupted."""

import os
import signal
from typing import ClassVar

import pytest

from nntrace.check import check as module
from nntrace.check.check import Check
from nntrace.check.children import Command


class Interrupted:
    """A child in whose making Ctrl-C is pressed."""

    ended: ClassVar[list["Interrupted"]] = []

    def __init__(self, *args):
        os.kill(os.getpid(), signal.SIGINT)
        self.is_made = True

    def end(self):
        self.ended.append(self)

    def clean(self):
        pass


def test_a_child_that_is_being_made_when_the_check_is_interrupted_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "Child", Interrupted)
    monkeypatch.setattr(Interrupted, "ended", [])
    check = Check(Command(("train.py",), ("train.py",), tmp_path), tmp_path / "c", (), {}, 20, 9, 1)
    with pytest.raises(KeyboardInterrupt):
        check.run()
    assert [child.is_made for child in Interrupted.ended] == [True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
