import threading
from functools import partial

from nntrace_tui.follower import Follower, Update
from nntrace_tui.pace import Pace

from nntrace.diagnosis import diagnose
from nntrace.schema import RunStatus
from nntrace.trace import Trace

HASTE = Pace(running=0.01, idle=0.01, diagnosis=0.01, share=1.0)


class Received:
    """The updates posted so far, and a way to wait for one."""

    def __init__(self) -> None:
        self.updates: list[Update] = []
        self._news = threading.Condition()

    def __call__(self, update: Update) -> None:
        with self._news:
            self.updates.append(update)
            self._news.notify_all()

    def wait_for(self, wanted) -> Update:
        with self._news:
            assert self._news.wait_for(lambda: any(map(wanted, self.updates)), timeout=60)
            return next(update for update in self.updates if wanted(update))


WITHOUT_RULES = partial(diagnose, rules=())


def follower(path, received, diagnose=WITHOUT_RULES) -> Follower:
    return Follower(path, received, HASTE, diagnose)


def test_a_newer_update_replaces_an_older_one() -> None:
    assert Update(None, None).can_replace(Update(None, "a problem"))


def test_a_run_of_many_steps_and_few_samples_is_first_read_in_part(run_folder, monkeypatch) -> None:
    run_folder.train(40)
    run_folder.end()
    samples = sum(file.stat().st_size for file in run_folder.path.glob("rank-*/stats-*.arrows"))
    monkeypatch.setattr("nntrace_tui.follower._LARGE_BYTES", samples)
    newest, asked = Trace.newest, []
    monkeypatch.setattr(Trace, "newest", lambda *a, **k: asked.append(a) or newest(*a, **k))
    received = Received()
    following = follower(run_folder.path, received)
    following.start()
    received.wait_for(lambda update: update.snapshot is not None)
    following.stop()
    assert len(asked) == 1


def test_the_run_is_shown_before_it_is_diagnosed(run_folder) -> None:
    run_folder.train(3)
    run_folder.end()
    received = Received()
    following = follower(run_folder.path, received)
    following.start()
    received.wait_for(lambda update: update.snapshot.findings is not None)
    following.stop()
    assert received.updates[0].snapshot.findings is None
    assert received.updates[0].snapshot.run.step == 3


def test_a_lost_connection_is_shown_before_the_next_look(run_folder) -> None:
    run_folder.train(3)
    run_folder.end()
    received, lost = Received(), threading.Event()
    seldom = Pace(running=0.01, idle=3600, diagnosis=3600, share=1.0)
    following = Follower(
        run_folder.path,
        received,
        seldom,
        WITHOUT_RULES,
        link_problem=lambda: "lost" if lost.is_set() else None,
    )
    following.start()
    received.wait_for(lambda update: update.snapshot.run.status is RunStatus.FINISHED)
    lost.set()
    received.wait_for(lambda update: update.problem == "lost")
    lost.clear()
    received.wait_for(lambda _: received.updates[-1].problem is None)
    following.stop()


def test_a_run_that_has_ended_is_neither_posted_nor_diagnosed_again(run_folder) -> None:
    run_folder.train(3)
    run_folder.end()
    received, looks, diagnoses = Received(), threading.Semaphore(0), []

    def count(trace: Trace):
        diagnoses.append(trace)
        return diagnose(trace, rules=())

    class Counted(Follower):
        def _read(self) -> None:
            super()._read()
            looks.release()

    following = Counted(run_folder.path, received, HASTE, count)
    following.start()
    for _ in range(5):
        assert looks.acquire(timeout=60)
    following.stop()
    assert len(received.updates) == 2
    assert len(diagnoses) == 1


def test_rows_that_come_later_are_diagnosed_too(run_folder) -> None:
    run_folder.train(3)
    lengths: list[int] = []
    is_whole = threading.Event()
    received = Received()

    def count(trace: Trace):
        lengths.append(len(trace.steps))
        if lengths[-1] == 7:
            is_whole.set()
        return diagnose(trace, rules=())

    following = follower(run_folder.path, received, count)
    following.start()
    received.wait_for(lambda update: update.snapshot.findings is not None)
    run_folder.train(4)
    run_folder.end()
    received.wait_for(lambda update: update.snapshot.run.status is RunStatus.FINISHED)
    assert is_whole.wait(timeout=60)
    following.stop(timeout=60)
    assert lengths[0] == 3


def test_a_diagnosis_that_fails_becomes_a_problem_beside_the_run(run_folder) -> None:
    run_folder.train(3)
    received = Received()

    def fail(trace: Trace):
        raise RuntimeError("no rules today")

    following = follower(run_folder.path, received, fail)
    following.start()
    update = received.wait_for(lambda update: update.problem)
    following.stop()
    assert "RuntimeError: no rules today" in update.problem
    assert update.snapshot.run.step == 3


def test_after_a_problem_the_folder_is_read_afresh(run_folder, tmp_path) -> None:
    run_folder.train(3)
    hidden = tmp_path / "elsewhere"
    received = Received()
    following = follower(run_folder.path, received)
    following.start()
    received.wait_for(lambda update: update.snapshot is not None)
    run_folder.path.rename(hidden)
    received.wait_for(lambda update: update.problem)
    seen = len(received.updates)
    hidden.rename(run_folder.path)
    received.wait_for(lambda update: update in received.updates[seen:] and not update.problem)
    following.stop()


def test_nothing_is_posted_after_stop(run_folder) -> None:
    run_folder.train(3)
    received = Received()
    following = follower(run_folder.path, received)
    following.start()
    received.wait_for(lambda update: update.snapshot is not None)
    following.stop(timeout=60)
    before = len(received.updates)
    run_folder.train(3)
    assert len(received.updates) == before


def test_of_a_large_run_the_newest_state_is_shown_before_the_rest_is_read(
    run_folder, monkeypatch
) -> None:
    monkeypatch.setattr("nntrace_tui.follower._LARGE_BYTES", 0)
    for _ in range(5):
        run_folder.train(10)
    run_folder.end()
    received = Received()
    following = follower(run_folder.path, received)
    following.start()
    received.wait_for(lambda update: update.snapshot.findings is not None)
    following.stop()
    first, second, *_ = (update.snapshot for update in received.updates)
    assert first.run.step == second.run.step == 50
    assert len(first.content.loss.values) == len(second.content.loss.values) == 50
    assert first.content.layers.heat.columns < second.content.layers.heat.columns == 50
