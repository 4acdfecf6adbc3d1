"""Calls are told apart by where they stand in the program, not by how Python runs them."""

from nntrace.adapter.sources import UserCode

CODE = UserCode(folders=(), frames=20)


def measured():
    return sum(CODE.call_path() for _ in range(1))


def test_a_call_that_a_loop_comes_back_to_stays_the_same_however_often_it_is_made():
    assert len({measured() for _ in range(200)}) == 1


def test_two_calls_of_one_helper_on_a_line_differ():
    paths = {pair for _ in range(50) for pair in [(measured(), measured())]}
    assert len(paths) == 1
    assert len(set(*paths)) == 2
