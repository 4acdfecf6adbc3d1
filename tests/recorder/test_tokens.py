from collections import Counter
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from nntrace.recorder import KeptTensor
from nntrace.recorder.tokens import TokenSearch
from nntrace.schema import Role

LETTERS = "abcdef"
STOI = {letter: number for number, letter in enumerate(LETTERS)}
ITOS = dict(enumerate(LETTERS))


class Holder:
    """A data set of a script's own."""

    def __init__(self, **held):
        self.__dict__.update(held)


def kept(ids, dtype="int64", role=Role.INPUT):
    values = np.array(ids)
    return KeptTensor(role, "input.0", values.shape, dtype, values)


def found(*things, ids=((0, 1, 5),), rows=6, **options):
    search = TokenSearch()
    search.has_weight((rows, 8))
    for thing in things:
        search.look_in(thing)
    return [(item.source, dict(item.tokens)) for item in search.find([kept(ids, **options)])]


READ = {0: "a", 1: "b", 5: "f"}


@pytest.mark.parametrize(
    ("name", "table"),
    [("stoi", STOI), ("lookup", ITOS), ("vocab", list(LETTERS)), ("chars", LETTERS)],
)
def test_tables_are_found_in_every_usual_form(name, table):
    assert found(Holder(**{name: table})) == [(name, READ)]


def test_a_table_is_found_behind_what_delivers_the_batches():
    inner = Holder(tokenizer=Holder(vocab=STOI))

    def collate(batch, table=None):
        return batch, inner

    assert found(collate) == [("vocab", READ)]
    assert found(partial(print, sep=inner)) == [("vocab", READ)]
    assert found(Holder(dataset=inner).__init__)[0][1] == READ


def test_rows_to_spare_are_padding_only_where_the_table_says_which_ids_it_names():
    from_one = {letter: number for number, letter in enumerate(LETTERS, 1)}
    holder = Holder(stoi=from_one, chars=LETTERS)
    assert found(holder, ids=((0, 1, 6),), rows=7) == [("stoi", {1: "a", 6: "f"})]


def test_what_does_not_fit_the_model_or_the_batch_is_no_table():
    assert not found(Holder(stoi=STOI), rows=20)
    assert not found(Holder(stoi=STOI), ids=((0, 7, 8, 9),))
    assert not found(Holder(counts=Counter("abcdef")))
    assert not found(Holder(sizes={"a": 3, "b": 3, "c": 0, "d": 1, "e": 1, "f": 1}))
    assert not found(Holder(columns=list(LETTERS)))


def test_two_tables_that_disagree_are_none():
    assert not found(Holder(stoi=STOI, vocab=list("uvwxyz")))
    assert found(Holder(stoi=STOI, itos=ITOS)) == [("stoi", READ)]


def test_only_whole_numbers_in_rows_are_ids():
    holder = Holder(stoi=STOI)
    assert not found(holder, dtype="float32")
    assert not found(holder, ids=((0,), (1,)))
    assert not found(holder, role=Role.TARGET)


def test_what_raises_when_looked_at_is_passed_by():
    class Hostile(SimpleNamespace):
        def __getattribute__(self, name):
            raise RuntimeError(name)

        def __eq__(self, other):
            raise RuntimeError("compared")

        __hash__ = None

    assert found(Holder(strange=Hostile(), itself=None, stoi=STOI)) == [("stoi", READ)]
