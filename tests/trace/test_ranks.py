import socket
import subprocess
import sys

import pytest
from run_folders import segment, small_run, steps, write_run

from nntrace.errors import NotARunError
from nntrace.trace import Trace

HERE = {"host": socket.gethostname()}


@pytest.fixture
def run(tmp_path):
    small_run(tmp_path, count=4)
    return small_run(tmp_path, count=6, rank=1)


def test_every_rank_of_a_run_is_opened_once_and_in_order(run):
    trace = Trace.open(run, rank=1)
    assert [one.rank for one in trace.every_rank()] == [0, 1]
    assert trace.every_rank()[1] is trace
    assert trace.every_rank()[0] is trace.of_rank(0)


def test_a_refresh_reads_on_in_every_rank_that_was_opened(run):
    whole = segment(run, "steps", rank=1).read_bytes()
    segment(run, "steps", rank=1).write_bytes(whole[:1200])
    trace = Trace.open(run)
    before = len(trace.of_rank(1).steps)
    segment(run, "steps", rank=1).write_bytes(whole)
    assert trace.refresh()
    assert before < len(trace.of_rank(1).steps) == 6
    assert not trace.refresh()


def test_a_window_is_of_every_rank(run):
    window = Trace.open(run).window(last=2)
    assert [one.steps.step.tolist() for one in window.every_rank()] == [[2, 3], [4, 5]]


def test_what_a_run_was_at_a_step_is_of_every_rank(run):
    past = Trace.open(run).until(1)
    assert [one.steps.step.tolist() for one in past.every_rank()] == [[0, 1], [0, 1]]


def test_a_frozen_run_is_frozen_in_every_rank(run):
    whole = segment(run, "steps", rank=1).read_bytes()
    segment(run, "steps", rank=1).write_bytes(whole[:1200])
    trace = Trace.open(run)
    frozen = trace.frozen([trace.of_rank(1)])
    before = len(frozen.of_rank(1).steps)
    segment(run, "steps", rank=1).write_bytes(whole)
    assert trace.refresh()
    assert len(trace.of_rank(1).steps) > len(frozen.of_rank(1).steps) == before


def test_a_window_of_synthetic_ranks_is_of_every_rank():
    traces = [Trace.from_rows(rank=rank, steps=steps(4)) for rank in (0, 1)]
    window = Trace.from_ranks(traces).window(last=3)
    assert [len(one.steps) for one in window.every_rank()] == [3, 3]


def test_synthetic_ranks_know_each_other():
    traces = [Trace.from_rows(rank=rank, steps=steps(2)) for rank in (2, 0)]
    trace = Trace.from_ranks(traces)
    assert trace.rank == 0
    assert trace.ranks == (0, 2)
    assert trace.of_rank(2) is traces[0]
    with pytest.raises(NotARunError):
        trace.of_rank(1)


@pytest.mark.parametrize("is_alive", [True, False])
def test_a_rank_is_alive_while_its_process_runs(tmp_path, is_alive):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    if not is_alive:
        process.communicate(b"\n")
    payload = f'{{"pid": {process.pid}}}'
    start = {"step": 0, "time_ns": 0, "kind": "rank_start", "payload": payload}
    trace = Trace.open(write_run(tmp_path, steps=steps(1), events=[start], manifest=HERE))
    assert trace.is_alive is is_alive
    if is_alive:
        process.communicate(b"\n")
