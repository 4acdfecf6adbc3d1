"""`Recorder`: an adapter's only way to the run folder, and the guard of the training.

Any failure of the recording side is reported once and ends tracing, never training. Nothing is
created on disk before the first record that shows that something trains.
"""

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack

from nntrace.experiment import Ending, Experiment
from nntrace.manifest import Manifest
from nntrace.notices import say
from nntrace.recorder.account import Account, Instant
from nntrace.recorder.cadence import Cadence
from nntrace.recorder.capsules import CapsuleRecord
from nntrace.recorder.contention import Contention
from nntrace.recorder.failure import Failure
from nntrace.recorder.forks import in_forked_children
from nntrace.recorder.guard import guarded
from nntrace.recorder.hooks import Hooks
from nntrace.recorder.memory import ResidentMemory
from nntrace.recorder.opening import import_writing, open_folder
from nntrace.recorder.own_manifest import OwnManifest, this_process
from nntrace.recorder.pace import Pace
from nntrace.recorder.plain_steps import Noted, PlainSteps
from nntrace.recorder.records import EventRecord, Later, ScalarRecord, StepFacts, StepRecord
from nntrace.recorder.sample import NO_SITE, Sample
from nntrace.recorder.sites import Sites
from nntrace.recorder.tokens import TokenSearch
from nntrace.recorder.writer import Writer
from nntrace.sampling import Sampling
from nntrace.schema import EventKind, Role, RunStatus

if TYPE_CHECKING:
    from nntrace.recorder.rank_folder import RankFolder

P = ParamSpec("P")
R = TypeVar("R")
_CLOSE_TIMEOUT_SECONDS = 30.0
_LEAVE_TIMEOUT_SECONDS = 0.05  # in which the disk does nothing; ten times that on a busy machine


class Recorder:
    """Records one rank of one run.

    Attributes:
        active: False once closed, failed, or in a forked child; every hook checks it first.
        hooks: the hooks in the program, and the adapters' callbacks.
        cadence: keeps the overhead budget.
        sampling: what is sampled of a step.
        account: what tracing has cost so far, and how much time has passed.
        pace: decides whether the next step is sampled.
        contention: in how much of the training's time other programs had the processor.
        setting_up: a context manager, for guarded hooks: time within it is one-time set-up.
        steps: the number of optimizer steps recorded so far.
        tokens: searches for the table of the batches' token ids, if they hold any.
        failure: the error that ended tracing before the program ended, if any.
        replays: the capsule that the adapter is to replay in the program, instead of a training.
        rank, world_size: settable by the adapter until the folder is opened.
        versions: the frameworks' versions, for the manifest; settable until then, too.
        experiment: how the adapter has to change the program; None in an ordinary run.
        ending: decides when the experiment is over.
        end_process: called with the reason when the experiment is over.
    """

    def __init__(
        self,
        run: Path,
        manifest: Manifest,
        cadence: Cadence,
        *,
        rank: int = 0,
        sampling: Sampling | None = None,
        replays: Path | None = None,
        world_size: int = 1,
        experiment: Experiment | None = None,
    ) -> None:
        self.run = run
        self.sampling = sampling or Sampling()
        self.replays = replays
        self.rank = rank
        self.world_size = world_size
        self.cadence = cadence
        self.experiment = experiment
        self.ending = None if experiment is None else Ending(experiment)
        self.end_process: Callable[[str], None] = lambda reason: None
        self.active = True
        self.hooks = Hooks()
        self.steps = 0
        self.failure: Failure | None = None
        self.versions: dict[str, str] = {}
        self._manifest = OwnManifest(manifest)
        self.contention = Contention()
        self._memory = ResidentMemory()
        self._has_origin = False
        self.tokens = TokenSearch()
        self._sites = Sites(self.sampling, experiment)
        self.account = Account()
        self.setting_up = self.account.setting_up
        self._writer = Writer(
            self._open_folder,
            lambda error: self.fail(error, "the writer"),
            self.account.charge_writer,
        )
        self._opening = threading.Lock()
        self._threads: set[int] = set()  # that have made sampled steps
        self.pace = Pace(cadence, self.account, self._writer)
        in_forked_children(self._abandon)

    @property
    def opened(self) -> bool:
        """Whether the run folder has been requested: something trains."""
        return self._writer.started

    def on_failure(self, undo: Callable[[], None]) -> None:
        """Register `undo`, which takes an adapter's hooks off; called on failure and on close."""
        self.hooks.add(undo)
        if not self.active:
            self.hooks.take_off()

    @property
    def room(self) -> int:
        """The number of coming steps that may be recorded late, after others have followed."""
        if self.experiment is not None or self.world_size > 1:
            return 0
        return self.cadence.room(self.steps)

    def guard(self, hook: Callable[P, R]) -> Callable[P, R | None]:
        """Wrap a hook: its errors never reach the training and its time is accounted for."""
        return guarded(self, hook)

    def add_site(self, path: str, role: Role, **fields: Any) -> int:
        """Declare a site and return its id, or `NO_SITE` when it is not to be recorded.

        `fields` are the other columns of `sites`.
        """
        site = self._sites.declare(path, role, fields)
        if site is None:
            return NO_SITE
        if role is Role.PARAM:
            self.tokens.has_weight(site.shape or ())
        self._writer.put(site)
        return site.id

    def add_event(
        self,
        kind: EventKind,
        payload: dict[str, Any],
        *,
        severity: str = "info",
        site: int | None = None,
    ) -> None:
        """Record something that happened, at the current step."""
        self.hooks.catch_up()
        if self.experiment is not None and "file" in payload:
            payload = {**payload, "file": self.experiment.original(payload["file"])}
        if kind is EventKind.ORIGIN:
            self._has_origin = True
            self.hooks.origin_found(payload, self.steps)
        text = json.dumps(payload, default=str)
        self._writer.put(EventRecord(self.steps, time.time_ns(), kind, severity, site, text))

    def steps_made(self) -> int:
        """The number of optimizer steps so far; postponed ones are recorded first."""
        self.hooks.catch_up()
        return self.steps

    def add_capsule(self, content: dict[str, Any], save: Callable[[Path], None]) -> None:
        """Keep the current step for a replay; `save` writes its tensors, on the writer thread."""
        self._writer.put(CapsuleRecord(self.steps_made(), time.time_ns(), content, save))

    def add_scalar(self, name: str, value: float) -> None:
        """Record a value that the program logs, at the current step."""
        self.hooks.catch_up()
        self._writer.put(ScalarRecord(self.steps, time.time_ns(), name, value))

    def add_sample(self, sample: Sample) -> None:
        """Record a sampled step's values; their array belongs to the recorder from now on."""
        self._sites.say_if_none()
        self._writer.put_sample(sample)
        if any(tensor.role is Role.INPUT for tensor in sample.tensors):
            for found in self.tokens.find_once(sample.tensors):
                self.add_event(EventKind.TOKENS, found.payload())

    def training_begins(self) -> None:
        """Let the first step start now, if none has: imports and set-up are no part of it."""
        if not self.account.has_begun:
            import_writing(self.account)
            self.account.training_begins()

    @property
    def wants_light(self) -> bool:
        """Whether coming unsampled steps should be light; asked when some have been recorded."""
        return self.room > 0 and self.replays is None and self.pace.wants_light

    def add_step(
        self,
        *,
        loss: Later,
        sampled: bool,
        memory_bytes: int | None = None,
        jumped: bool | None = None,
        ended: Instant | None = None,
        followed: bool = False,
        light: bool = False,
        **facts: Unpack[StepFacts],
    ) -> bool:
        """Record an optimizer step that has ended, and return whether to sample the next one.

        A number that is still on its way to the host is passed as a function, which the writer
        calls.

        Args:
            loss: the objective of the step.
            sampled: whether the step was sampled.
            memory_bytes: the accelerator's memory; without it the process's is recorded.
            jumped: whether the loss has left its level, if the adapter follows that itself.
            ended: when the step ended, if not now.
            followed: whether further steps have ended since: the next one is not sampled then.
            light: whether only the indispensable facts of the step were noted.
            facts: its other columns.
        """
        # Nothing is called in between: no other thread that trains gets the same number.
        number, self.steps = self.steps, self.steps + 1
        times = self.account.step_ended(settles=sampled, ended=ended, followed=followed)
        record = StepRecord(
            step=number,
            time_ns=time.time_ns() if ended is None else ended.time_ns,
            duration_ns=times.duration_ns,
            overhead_ns=times.cost_ns,
            cpu_ns=times.cpu_ns,
            loss=loss,
            sampled=sampled,
            memory_bytes=self._memory.read() if sampled and memory_bytes is None else memory_bytes,
            **facts,
        )
        self._writer.put(record)
        if not self._writer.started:
            self.open()
        if sampled:
            self._threads.add(threading.get_ident())
            self.pace.sampled(times.sample_cost_ns)
        else:
            self.pace.unsampled(times.plain_ns, light=light, followed=followed)
        if self.ending is not None:
            value = loss() if callable(loss) else loss
            if (reason := self.ending.after_step(value)) is not None:
                self.end_process(reason)
        return self.pace.wants(
            self.steps, loss, jumped=jumped, has_ranks=self.world_size > 1, followed=followed
        )

    def add_followed(self, steps: Sequence[Noted], since_1970_ns: int) -> None:
        """Record unsampled steps that others have followed: no sampling decision is due.

        Args:
            steps: the steps, in order.
            since_1970_ns: what to add to the monotonic clock to get nanoseconds since 1970.
        """
        count = len(steps)
        began_ns = self.account.followed(count, steps[-1][0])
        first, self.steps = self.steps, self.steps + count
        self._writer.put(PlainSteps(steps, first, began_ns, since_1970_ns))
        self.pace.facts.followed(count)

    def open(self) -> None:
        """Create the run folder, unless that was done: something trains."""
        with self._opening:
            if not self._writer.started:
                import_writing(self.account)
                self.contention = Contention()  # waits before the training do not count
                self.account.begin()
                self._writer.start()

    def fail(self, error: Exception, where: str) -> None:
        """Report an error of nntrace's own, once, and stop tracing; training goes on.

        Raises:
            Exception: the error itself under NNTRACE_STRICT=1, on the training thread.
        """
        if self.failure is not None:
            return
        self.active = False
        if where != "the writer":
            self._threads.add(threading.get_ident())
        self.failure = Failure.of(error, where, in_several_threads=len(self._threads) > 1)
        self.failure.announce()
        with contextlib.suppress(OSError):  # so that a watched run does not look stalled
            self._manifest.change(self.run, error=str(self.failure))
        if where != "the writer":
            self.hooks.take_off()
            with contextlib.suppress(Exception):  # recording may be the very thing that is broken
                self.add_event(EventKind.ERROR, self.failure.payload(), severity="error")
            if os.environ.get("NNTRACE_STRICT") == "1":
                raise error

    def close(self, status: RunStatus, error: str | None = None) -> None:
        """Take the hooks off, write what is queued and say in the manifest how the run ended."""
        self.hooks.ended()
        self.active = False
        self.hooks.take_off()
        self.hooks.forget()
        self.tokens.end()
        self._memory.close()
        if not self._writer.started:
            if not self._has_origin:
                return
            self.open()  # an origin in the very first step is worth a folder
        if not self._finish_writing(status, error, _CLOSE_TIMEOUT_SECONDS):
            say(f"the disk of {self.run} did not take the last rows.")

    def leave(self, status: RunStatus, error: str | None = None) -> None:
        """The process ends at once, by `os._exit`: write what is queued, as far as that is quick.

        Nothing is searched for, and the hooks stay where they are.
        """
        self.hooks.catch_up()
        self.active = False
        if self._writer.started:
            self._finish_writing(status, error, _LEAVE_TIMEOUT_SECONDS)

    def _finish_writing(self, status: RunStatus, error: str | None, timeout_seconds: float) -> bool:
        """Write what is queued and how the run ended; False when the disk did not take it all."""
        counts = {"steps": self.steps, "sampled_steps": self.pace.sampled_steps}
        payload = {**counts, "status": status, "error": error, "starved": self.contention.share()}
        with contextlib.suppress(Exception):  # the manifest says how the run ended in any case
            self.add_event(EventKind.RANK_STOP, payload)
        is_written = self._writer.stop(timeout_seconds)
        error = error or (str(self.failure) if self.failure else None)
        self._manifest.complete(self.run, status, error, self.account)
        return is_written

    def _open_folder(self) -> "RankFolder":
        self.run, folder = open_folder(
            self.run, self.rank, self._manifest, self.versions, self.sampling, self.cadence
        )
        self.add_event(EventKind.RANK_START, this_process(self.rank, self.world_size))
        return folder

    def _abandon(self) -> None:
        """Stop recording in a forked child: it has no writer thread and may write nothing."""
        self.active = False
        self.hooks.are_on = False
