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


NESTED = """
class Linear:
    def __init__(self, notes):
        notes.note(self)

class Pooler:
    def __init__(self, notes):
        notes.note(self)
        self.dense = Linear(notes)

class Bert:
    def __init__(self, notes, head=None):
        notes.note(self)
        self.pooler = Pooler(notes)
        self.layer = Linear(notes)
        self.head = head(notes) if head else None

def instantiate(kind, notes):
    return kind(notes)
"""


@pytest.fixture
def library(package):
    exec(compile(NESTED, package.__file__, "exec"), package.__dict__)
    return package


def test_what_a_library_builds_within_an_object_is_part_of_the_one_the_program_asked_for(library):
    known = BuiltAt(code())
    one, other = library.Bert(known), library.Bert(known)
    number = known.library_object(one.layer)
    assert number is not None
    assert known.library_object(one.pooler) == known.library_object(one.pooler.dense) == number
    assert known.library_object(other.layer) not in (None, number)
    assert known.library_object(one) is None


def test_what_the_program_builds_is_no_part_of_a_library(library):
    known = BuiltAt(code())

    class Model(library.Bert):
        def __init__(self, notes):
            super().__init__(notes)
            self.own = library.Linear(notes)

    def head(notes):
        return library.Linear(notes)

    model = Model(known)
    assert known.library_object(model.own) is None
    assert known.library_object(model.layer) is not None
    assert known.library_object(library.Bert(known, head).head) is None
    assert known.library_object(library.instantiate(library.Linear, known)) is None


def test_the_parts_of_objects_that_are_gone_are_forgotten(library):
    known = BuiltAt(code())
    library.Bert(known)
    assert not [*known._by_id, *known._part_of, *known._numbers]
