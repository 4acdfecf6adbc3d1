import itertools
import sys
import threading

import pytest

from nntrace.recorder import writer as module
from nntrace.recorder.writer import Writer

TIMEOUT_SECONDS = 0.01


class Disk:
    """One that answers when it is told to."""

    def __init__(self):
        self.answers = threading.Event()

    def write(self, *records):
        self.answers.wait()

    def close(self):
        pass


@pytest.fixture
def disk():
    disk = Disk()
    yield disk
    disk.answers.set()


@pytest.fixture
def writer(disk):
    writer = Writer(lambda: disk, lambda error: None)
    writer.put("a record")
    writer.start()
    return writer


def test_a_writer_that_is_slow_but_works_is_waited_for(writer, disk, monkeypatch):
    readings = itertools.count()

    def processor_ns(thread):
        if next(readings) == 10:
            disk.answers.set()
        return next(readings)

    monkeypatch.setattr(module, "_PATIENCE", 1e9)
    monkeypatch.setattr(module, "_processor_ns", processor_ns)
    assert writer.stop(TIMEOUT_SECONDS)


def test_a_writer_that_stands_still_is_left(writer, monkeypatch):
    monkeypatch.setattr(module, "_processor_ns", lambda thread: 7)
    assert not writer.stop(TIMEOUT_SECONDS)


def test_a_writer_that_works_without_an_end_is_left_in_the_end(writer, monkeypatch):
    readings = itertools.count()
    monkeypatch.setattr(module, "_processor_ns", lambda thread: next(readings))
    assert not writer.stop(TIMEOUT_SECONDS)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a thread's processor time")
def test_the_processor_time_of_a_thread_that_works_grows():
    has_grown = threading.Event()

    def work():
        while not has_grown.is_set():
            pass

    thread = threading.Thread(target=work)
    thread.start()
    before_ns = module._processor_ns(thread)
    while module._processor_ns(thread) <= before_ns:
        pass
    has_grown.set()
    thread.join()
