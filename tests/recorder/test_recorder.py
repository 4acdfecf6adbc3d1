import contextlib
import os
import subprocess
import threading
import time
import warnings

import numpy as np
import pytest

from nntrace.manifest import Manifest
from nntrace.recorder import Cadence, Layout, Recorder, Sample, SiteSample
from nntrace.recorder import recorder as recorder_module
from nntrace.recorder import writer as writer_module
from nntrace.recorder.rank_folder import RankFolder, claim
from nntrace.recorder.records import StepRecord
from nntrace.rows import Site
from nntrace.schema import STREAMS, EventKind, Role, RunStatus
from nntrace.trace import Trace


@pytest.fixture(autouse=True)
def lenient(monkeypatch):
    monkeypatch.delenv("NNTRACE_STRICT", raising=False)


@pytest.fixture
def run(tmp_path):
    return tmp_path / "runs" / "run"


def recorder_of(run, *, every=1, rank=0):
    return Recorder(
        run, Manifest.begin(run.name, ("train.py",), {}), Cadence(every=every), rank=rank
    )


def step(recorder, *, loss=1.0, sampled=False):
    return recorder.add_step(
        data_wait_ns=0,
        loss=loss,
        lr=0.1,
        grad_norm=None,
        batch_size=8,
        optimizer="SGD",
        phase="train",
        sampled=sampled,
        gradients_cleared=None,
    )


def sample(recorder, site, values, *, layout=None):
    values = np.asarray(values, dtype=np.float32)
    layout = layout or Layout(1, 1, len(values), per_unit=False)
    recorder.add_sample(Sample(recorder.steps, values, (SiteSample(site, 0, layout),)))


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_nothing_is_on_disk_before_the_first_step(run):
    recorder = recorder_of(run)
    recorder.add_event(EventKind.SEED, {"seed": 1})
    recorder.add_site("weight", Role.PARAM)
    assert not recorder.opened
    recorder.close(RunStatus.FINISHED)
    assert not run.exists()
    assert not run.parent.exists()


def test_what_was_recorded_is_in_the_trace(run):
    recorder = recorder_of(run)
    site = recorder.add_site("weight", Role.PARAM, numel=3, shape=(3,))
    sample(recorder, site, [1, 2, 3])
    step(recorder, loss=0.5, sampled=True)
    recorder.add_event(EventKind.SEED, {"seed": 1})
    recorder.close(RunStatus.FINISHED)
    trace = Trace.open(run)
    assert trace.steps.loss.tolist() == [0.5]
    assert trace.series("param", "mean").tolist() == [[2.0]]
    assert trace.manifest.status == "finished"
    assert trace.manifest.command == ("train.py",)
    assert {event.kind for event in trace.events} == {"rank_start", "seed", "rank_stop"}
    assert trace.torn_streams == ()


def test_a_row_is_readable_while_the_run_goes_on(run):
    recorder = recorder_of(run)
    step(recorder)
    wait_until(lambda: (run / "manifest.json").exists() and len(Trace.open(run).steps) == 1)
    assert Trace.open(run).status is RunStatus.RUNNING
    recorder.close(RunStatus.FINISHED)


def test_a_failed_run_says_so(run):
    recorder = recorder_of(run)
    step(recorder)
    recorder.close(RunStatus.FAILED, "ValueError: no")
    manifest = Manifest.read(run)
    assert manifest.status == "failed"
    assert manifest.error == "ValueError: no"
    assert manifest.ended_ns > manifest.started_ns
    assert manifest.overhead >= 0


def test_the_gradient_norm_of_a_step_is_put_together_from_its_samples(run):
    recorder = recorder_of(run)
    values = np.array([3.0, 4.0, 0.0, 2.0], dtype=np.float32)
    sites = [recorder.add_site(name, Role.PARAM_GRAD, numel=2) for name in "ab"]
    layout = Layout(1, 1, 2, per_unit=False)
    parts = (SiteSample(sites[0], 0, layout), SiteSample(sites[1], 2, layout))
    recorder.add_sample(Sample(0, values, parts))
    step(recorder, sampled=True)
    recorder.close(RunStatus.FINISHED)
    assert Trace.open(run).steps.grad_norm[0] == pytest.approx(np.sqrt(29), rel=1e-6)


def test_a_sum_of_squares_that_is_known_stands_for_the_gradient_in_the_norm(run):
    recorder = recorder_of(run)
    sparse, dense = (
        recorder.add_site(n, Role.PARAM_GRAD, numel=m) for n, m in (("a", 99), ("b", 2))
    )
    layout = Layout(1, 1, 2, per_unit=False)
    parts = (SiteSample(sparse, 0, layout), SiteSample(dense, 2, layout))
    values = np.array([3.0, 4.0, 0.0, 2.0], dtype=np.float32)
    recorder.add_sample(Sample(0, values, parts, squares={sparse: 32.0}))
    step(recorder, sampled=True)
    recorder.close(RunStatus.FINISHED)
    assert Trace.open(run).steps.grad_norm[0] == pytest.approx(6.0, rel=1e-6)


def test_the_gradient_norm_of_a_sample_that_was_written_before_its_step_is_not_lost(run):
    folder = RankFolder(claim(run, 0), 0)
    site = Site(0, "weight", Role.PARAM_GRAD, numel=2)
    values = np.array([3.0, 4.0], dtype=np.float32)
    part = SiteSample(0, 0, Layout(1, 1, 2, per_unit=False))
    folder.write([site], [], [Sample(0, values, (part,))], [])
    row = StepRecord(0, 1, 1, 0, 1.0, 0.1, None, 8, "SGD", "train", True, 0, None)
    folder.write([], [row], [], [])
    folder.close()
    Manifest.begin("run", (), {}).create(run)
    assert Trace.open(run).steps.grad_norm.tolist() == [5.0]


def test_the_first_step_lasts_from_the_moment_training_begins(run):
    recorder = recorder_of(run)
    time.sleep(0.3)  # imports, set-up
    begins = time.perf_counter_ns()
    recorder.training_begins()
    recorder.training_begins()
    step(recorder)
    since = time.perf_counter_ns() - begins
    recorder.close(RunStatus.FINISHED)
    assert Trace.open(run).steps.duration_ns[0] <= since


def test_the_next_step_is_wanted_as_the_cadence_says(run):
    recorder = recorder_of(run, every=3)
    assert [step(recorder) for _ in range(7)] == [n % 3 == 0 for n in range(1, 8)]
    recorder.close(RunStatus.FINISHED)


@pytest.mark.parametrize(("once", "wanted"), [(True, True), (False, False)])
def test_what_was_built_once_does_not_hold_up_the_samples(run, once, wanted):
    recorder = Recorder(
        run, Manifest.begin(run.name, ("train.py",), {}), Cadence(budget=0.5, dense_steps=0)
    )
    with recorder.setting_up():
        recorder.account.hooks_ns += 60_000_000_000
    recorder.account.setup_ns = 60_000_000_000 if once else 0
    assert step(recorder, sampled=True) is wanted
    assert recorder.account.spent_ns >= 60_000_000_000
    assert (recorder.cadence.sample_cost_ns < 1_000_000_000) is wanted
    recorder.close(RunStatus.FINISHED)


def test_a_loss_that_is_still_on_its_way_is_read_by_the_writer(run):
    recorder = recorder_of(run)
    readers = []

    def arrives():
        readers.append(threading.current_thread())
        return 0.25

    step(recorder, loss=arrives)
    recorder.close(RunStatus.FINISHED)
    assert Trace.open(run).steps.loss.tolist() == [0.25]
    assert readers[0] is not threading.current_thread()


def test_only_samples_that_still_wait_are_owed(run):
    recorder = recorder_of(run)
    site = recorder.add_site("weight", Role.PARAM, numel=3, shape=(3,))
    for _ in range(5):
        sample(recorder, site, [1, 2, 3])
        recorder.account.hooks_ns += 10**6
        step(recorder, sampled=True)
    wait_until(lambda: recorder.pace.owed_ns == 0)
    recorder.close(RunStatus.FINISHED)


def test_no_sample_is_wanted_while_the_disk_is_behind(run, monkeypatch):
    monkeypatch.setattr(writer_module, "MAX_WAITING_BYTES", 1000)
    gate = threading.Event()
    original = Recorder._open_folder

    def slow(recorder):
        gate.wait(20)
        return original(recorder)

    monkeypatch.setattr(Recorder, "_open_folder", slow)
    recorder = recorder_of(run)
    site = recorder.add_site("weight", Role.PARAM)
    sample(recorder, site, np.zeros(100))
    assert step(recorder, sampled=True)
    sample(recorder, site, np.zeros(200))
    assert not step(recorder, sampled=True)
    gate.set()
    wait_until(lambda: step(recorder))
    recorder.close(RunStatus.FINISHED)
    assert len(Trace.open(run).sampled_steps) == 2


def test_two_processes_of_one_rank_get_a_folder_each(run):
    for expected in ("run", "run-2", "run-3"):
        recorder = recorder_of(run)
        step(recorder)
        recorder.close(RunStatus.FINISHED)
        assert recorder.run.name == expected
        assert Manifest.read(recorder.run).name == expected


def test_ranks_share_a_folder_and_one_of_them_writes_the_manifest(run):
    recorders = [recorder_of(run, rank=rank) for rank in range(2)]
    for recorder in recorders:
        step(recorder)
    for recorder in recorders:
        recorder.close(RunStatus.FINISHED)
    assert Trace.open(run).ranks == (0, 1)
    assert not run.with_name("run-2").exists()
    assert Manifest.read(run).status == "finished"


def test_a_guarded_hook_hands_on_what_it_is_given_and_returns(run):
    recorder = recorder_of(run)
    assert recorder.guard(lambda a, *, b: (a, b))(1, b=2) == (1, 2)
    assert recorder.account.hooks_ns > 0


def test_an_error_in_a_hook_is_swallowed_and_said_once_and_hooks_come_off(run, capsys):
    recorder = recorder_of(run)
    undone = []
    recorder.on_failure(lambda: undone.append(1))
    step(recorder)
    broken = recorder.guard(lambda: 1 / 0)
    assert broken() is None
    assert undone == [1]
    assert not recorder.active
    assert broken() is None
    assert recorder.guard(lambda: 5)() is None
    said = capsys.readouterr().err
    assert said.count("nntrace: tracing stopped") == 1
    assert "ZeroDivisionError" in said
    assert "Traceback" in said
    recorder.close(RunStatus.FINISHED)
    trace = Trace.open(run)
    assert "ZeroDivisionError" in trace.manifest.error
    assert [event.severity for event in trace.events_of("error")] == ["error"]


def test_strict_mode_raises_the_error(run, monkeypatch, capsys):
    monkeypatch.setenv("NNTRACE_STRICT", "1")
    with pytest.raises(ZeroDivisionError):
        recorder_of(run).guard(lambda: 1 / 0)()
    capsys.readouterr()


def test_an_interrupt_passes_through_a_hook(run):
    def interrupt():
        raise KeyboardInterrupt

    recorder = recorder_of(run)
    with pytest.raises(KeyboardInterrupt):
        recorder.guard(interrupt)()
    assert recorder.active


def test_hooks_registered_after_the_failure_come_off_at_once(run, capsys):
    recorder = recorder_of(run)
    recorder.guard(lambda: 1 / 0)()
    undone = []
    recorder.on_failure(lambda: undone.append(1))
    assert undone == [1]


def test_an_undo_that_fails_does_not_keep_the_others_on(run, capsys):
    recorder = recorder_of(run)
    undone = []
    recorder.on_failure(lambda: undone.append(1))
    recorder.on_failure(lambda: 1 / 0)
    recorder.close(RunStatus.FINISHED)
    assert undone == [1]
    assert "a hook did not come off" in capsys.readouterr().err


def test_a_disk_error_takes_the_hooks_off_on_the_training_thread(run, capsys, monkeypatch):
    def full(recorder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Recorder, "_open_folder", full)
    recorder = recorder_of(run)
    threads = []
    recorder.on_failure(lambda: threads.append(threading.current_thread()))
    step(recorder)
    wait_until(lambda: not recorder.active)
    assert threads == []
    assert recorder.guard(lambda: 5)() is None
    assert threads == [threading.main_thread()]
    recorder.close(RunStatus.FINISHED)
    said = capsys.readouterr().err
    assert "No space left on device" in said
    assert "Traceback" not in said
    assert said.count("\n") == 1


def test_a_folder_moved_during_the_run_keeps_its_rows_and_is_named_at_the_end(run, capsys):
    recorder = recorder_of(run)
    step(recorder)
    wait_until(lambda: len([*run.glob("rank-*/*.arrows")]) == len(STREAMS))
    moved = run.rename(run.with_name("moved"))
    step(recorder)
    recorder.close(RunStatus.FINISHED)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{run} was moved or deleted" in said
    assert len(Trace.open(moved).steps) == 2


def test_an_unwritable_folder_stops_tracing_with_one_line(tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    recorder = recorder_of(blocked / "run")
    step(recorder)
    recorder.close(RunStatus.FINISHED)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(blocked) in said


def test_a_forked_child_records_nothing_and_its_hooks_are_inert(run):
    recorder = recorder_of(run)
    calls = []
    hook = recorder.guard(lambda: calls.append(1))
    step(recorder)
    wait_until(lambda: (run / "manifest.json").exists())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        hook()
        os._exit(10 if calls or recorder.active else 11)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 11
    hook()
    assert calls == [1]
    recorder.close(RunStatus.FINISHED)
    assert Trace.open(run).events_of("rank_start")[0].payload["pid"] == os.getpid()


def test_the_commit_of_the_program_is_recorded_without_starting_a_process(
    run, tmp_path, monkeypatch
):
    repository = tmp_path / "repository"
    repository.mkdir()
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for arguments in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *arguments], cwd=repository, check=True)
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=repository, text=True)
    (repository / "deep").mkdir()
    monkeypatch.chdir(repository / "deep")
    monkeypatch.setattr(subprocess, "Popen", None)
    recorder = recorder_of(run)
    step(recorder)
    recorder.close(RunStatus.FINISHED)
    assert Manifest.read(run).git_commit == commit.strip()


def test_a_run_that_broke_before_its_first_step_has_a_folder(run):
    recorder = Recorder(run, Manifest.begin(run.name, (), {}), Cadence(0.02, 1))
    recorder.add_event(EventKind.ORIGIN, {"where": "forward"}, severity="error")
    recorder.close(RunStatus.FAILED, "AssertionError: loss is NaN")
    assert [event.payload["where"] for event in Trace.open(run).events_of("origin")] == ["forward"]


def in_two_threads(act):
    threads = [threading.Thread(target=act) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)


def test_two_threads_that_train_at_once_open_one_run_folder(run, monkeypatch):
    recorder, both_open = recorder_of(run), threading.Barrier(2)

    def slow_import(account):
        with contextlib.suppress(threading.BrokenBarrierError):
            both_open.wait(1)

    monkeypatch.setattr(recorder_module, "import_writing", slow_import)
    in_two_threads(lambda: step(recorder))
    recorder.close(RunStatus.FINISHED)

    assert [folder.name for folder in run.parent.iterdir()] == [run.name]
    assert sorted(Trace.open(run).steps.step.tolist()) == [0, 1]


def broken_hook():
    raise IndexError("mixed")


def test_a_failure_where_several_threads_train_is_told_without_a_traceback(run, capsys):
    recorder = recorder_of(run)
    in_two_threads(lambda: step(recorder, sampled=True))
    recorder.guard(broken_hook)()
    recorder.close(RunStatus.FINISHED)

    told = capsys.readouterr().err
    assert "several threads of the program train" in told
    assert "Traceback" not in told


def test_a_failure_where_one_thread_other_than_the_main_one_trains_has_a_traceback(run, capsys):
    recorder = recorder_of(run)

    def train():
        step(recorder, sampled=True)
        recorder.guard(broken_hook)()

    thread = threading.Thread(target=train)
    thread.start()
    thread.join(20)
    recorder.close(RunStatus.FINISHED)

    assert "Traceback" in capsys.readouterr().err
