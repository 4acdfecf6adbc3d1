"""Which line stands for what a program has a package do."""

import importlib.util
import os
import sys
import threading
from functools import partial

import pytest

from nntrace.adapter.sources import BuiltAt, UserCode

PACKAGE = """
class Layer:
    def __init__(self, notes):
        notes.append(self)

def build(notes):
    return Layer(notes)

def deep(depth, ask):
    return deep(depth - 1, ask) if depth else ask()
"""


@pytest.fixture(params=["site-packages", "dist-packages"])
def package(tmp_path, request):
    """A module that is installed beside Python."""
    path = tmp_path / "lib" / request.param / "trainer.py"
    path.parent.mkdir(parents=True)
    path.write_text(PACKAGE)
    spec = importlib.util.spec_from_file_location("trainer", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code():
    return UserCode((), 30)


def test_a_call_within_a_package_is_named_by_the_programs_call_of_the_package(package):
    source = package.deep(3, code().caller)
    assert source.file == __file__
    assert source.line == sys._getframe().f_lineno - 2


def test_the_programs_call_is_found_below_more_frames_than_are_usually_looked_at(package):
    assert package.deep(60, code().caller).file == __file__


def test_the_line_within_the_package_is_told_where_it_is_asked_for(package):
    inner = partial(code().caller, installed=True)
    assert package.deep(3, inner).file == package.__file__


def test_a_package_that_runs_by_itself_is_named_by_its_own_line(package):
    told = []

    def run():
        told.append(UserCode((os.path.dirname(__file__),), 30).caller())

    thread = threading.Thread(target=package.deep, args=(3, partial(run)))
    thread.start()
    thread.join()
    assert told[0].file == package.__file__


def test_a_layer_that_a_package_builds_is_named_by_the_programs_line(package):
    known = BuiltAt(code())

    class Notes(list):
        def append(self, layer):
            known.note(layer)

    layer = package.build(Notes())
    assert known.of(layer).file == __file__
