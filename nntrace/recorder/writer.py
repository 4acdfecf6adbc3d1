"""The background thread between the training process and the disk.

The training thread only appends to a deque; the writer drains it about once a second, or sooner
when much is waiting: one large batch costs far less, in time and in bytes, than many small ones.
An error of the disk ends tracing, never training.
"""

import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nntrace.recorder.capsules import CapsuleRecord
from nntrace.recorder.plain_steps import PlainSteps
from nntrace.recorder.records import EventRecord, ScalarRecord, StepRecord
from nntrace.recorder.sample import Sample
from nntrace.rows import Site

if TYPE_CHECKING:
    from nntrace.recorder.rank_folder import RankFolder

FLUSH_SECONDS: Final = 0.8  # a killed process loses what was not flushed
FLUSH_BYTES: Final = 16 * 1024 * 1024
MAX_WAITING_BYTES: Final = 48 * 1024 * 1024
_PATIENCE: Final = 10
Record = Site | StepRecord | PlainSteps | EventRecord | ScalarRecord | Sample | CapsuleRecord


class Writer:
    """Owns the rank folder once `start` is called.

    Args:
        open_folder: creates the folder; called on the writer thread.
        on_error: told of the first error, on the writer thread; nothing is written after it.
        charge: told of the processor time the thread took, each time it has written, and whether
            that was up to the first samples, which pay for imports and for new files.

    Attributes:
        started: whether the thread was started.
        samples_written: the number of samples written so far.
        first_samples: how many of them were written first, together.
        put: queues a record; never blocks.
    """

    def __init__(
        self,
        open_folder: Callable[[], "RankFolder"],
        on_error: Callable[[Exception], None],
        charge: Callable[[int, bool], None] = lambda busy_ns, is_first: None,
    ) -> None:
        self._open_folder = open_folder
        self._on_error = on_error
        self._charge = charge
        self._records: deque[Record] = deque()
        self.put: Callable[[Record], None] = self._records.append
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.started = False
        # Each is changed by one thread only.
        self._put_bytes = 0
        self._written_bytes = 0
        self.samples_written = self.first_samples = 0

    @property
    def is_behind(self) -> bool:
        """Whether samples pile up: the disk, or the machine, cannot keep up."""
        return self._waiting_bytes >= MAX_WAITING_BYTES

    @property
    def _waiting_bytes(self) -> int:
        return self._put_bytes - self._written_bytes

    def start(self) -> None:
        """Start the thread; what was put before is written first."""
        self._thread = threading.Thread(target=self._run, name="nntrace-writer", daemon=True)
        self._thread.start()
        self.started = True

    def put_sample(self, sample: Sample) -> None:
        """Queue a sample, and wake the thread when much is waiting."""
        self._records.append(sample)
        self._put_bytes += sample.values.nbytes
        if self._waiting_bytes >= FLUSH_BYTES:
            self._wake.set()

    def stop(self, timeout_seconds: float) -> bool:
        """Write what is queued and end the streams; False when the disk did not take it.

        Args:
            timeout_seconds: how long the writer may stand still. One that only waits for its turn
                on a busy machine gets `_PATIENCE` times as long.
        """
        thread = self._thread
        if thread is None:
            return True
        self._stop.set()
        self._wake.set()
        began = stood_still_since = time.monotonic()
        busy_ns = _processor_ns(thread)
        while thread.is_alive():
            thread.join(min(1.0, timeout_seconds))
            now, before_ns, busy_ns = time.monotonic(), busy_ns, _processor_ns(thread)
            if busy_ns != before_ns:
                stood_still_since = now
            if now - stood_still_since >= timeout_seconds:
                break
            if now - began >= _PATIENCE * timeout_seconds:
                break
        return not thread.is_alive()

    def _run(self) -> None:
        try:
            folder = self._open_folder()
            while not self._stop.is_set():
                self._drain(folder)
                self._wake.wait(FLUSH_SECONDS)
                self._wake.clear()
            self._drain(folder)
            folder.close()
        except Exception as error:
            self._records.clear()
            self._on_error(error)

    def _drain(self, folder: "RankFolder") -> None:
        started = time.thread_time_ns()
        records = [self._records.popleft() for _ in range(len(self._records))]
        by_kind: defaultdict[type, list[Any]] = defaultdict(list)
        for record in records:
            if isinstance(record, PlainSteps):
                by_kind[StepRecord] += record.records()
            else:
                by_kind[type(record)].append(record)
        samples = by_kind[Sample]
        if records:
            folder.write(
                by_kind[Site],
                by_kind[StepRecord],
                samples,
                by_kind[EventRecord],
                by_kind[ScalarRecord],
                by_kind[CapsuleRecord],
            )
            self._written_bytes += sum(sample.values.nbytes for sample in samples)
        is_first = self.samples_written == 0
        self._charge(time.thread_time_ns() - started, is_first)
        if is_first:
            self.first_samples = len(samples)
        self.samples_written += len(samples)


def _processor_ns(thread: threading.Thread) -> int:
    """The processor time a thread has had; 0 where the system does not say it, or it has ended."""
    if sys.platform != "linux" or thread.native_id is None:
        return 0
    try:
        scheduled = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_bytes()
        return int(scheduled.split()[0])
    except (OSError, ValueError, IndexError):
        return 0
