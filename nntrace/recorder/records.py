"""The records that a `Recorder` queues beside sites and samples, and their rows in the schema."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NotRequired, TypedDict

from nntrace.schema import EventKind

Later = float | Callable[[], float] | None  # a function while the number is on its way to the host
_MAY_BE_LATE = ("loss", "clip_norm")


class StepRecord(NamedTuple):
    """One optimizer step; a tuple, because one is made at every step of the training."""

    step: int
    time_ns: int
    duration_ns: int
    data_wait_ns: int | None
    loss: Later
    lr: float | None
    grad_norm: float | None
    batch_size: int | None
    optimizer: str
    phase: str
    sampled: bool
    overhead_ns: int
    gradients_cleared: bool | None
    before_backward_ns: int | None = None
    backwards: int | None = None
    skipped: bool = False
    loss_scale: float | None = None
    memory_bytes: int | None = None
    cpu_ns: int | None = None
    clip_norm: Later = None
    clip_limit: float | None = None


class StepFacts(TypedDict):
    """The columns of a step that only an adapter knows, by their names in `StepRecord`."""

    data_wait_ns: int | None
    lr: float | None
    grad_norm: float | None
    batch_size: int | None
    optimizer: str
    phase: str
    gradients_cleared: bool | None
    before_backward_ns: NotRequired[int | None]
    backwards: NotRequired[int | None]
    skipped: NotRequired[bool]
    loss_scale: NotRequired[float | None]
    clip_norm: NotRequired[Later]
    clip_limit: NotRequired[float | None]


def step_columns(
    steps: Sequence[StepRecord], found: Sequence[Mapping[str, float]]
) -> dict[str, list[Any]]:
    """The columns of `steps`, including those in `found`, which a step's sample has yielded."""
    columns = dict(zip(StepRecord._fields, map(list, zip(*steps, strict=True)), strict=True))
    for name in _MAY_BE_LATE:
        columns[name] = [value() if callable(value) else value for value in columns[name]]
    for number, values in enumerate(found):
        for name, value in values.items():
            columns.setdefault(name, [None] * len(steps))[number] = value
    return columns


class EventRecord(NamedTuple):
    """Something that happened once; `payload` is a JSON object."""

    step: int
    time_ns: int
    kind: EventKind
    severity: str
    site: int | None
    payload: str

    def row(self) -> dict[str, Any]:
        """The event as a row of `events`."""
        return self._asdict()


class ScalarRecord(NamedTuple):
    """A value that the program itself logged."""

    step: int
    time_ns: int
    name: str
    value: float

    def row(self) -> dict[str, Any]:
        """The value as a row of `scalars`."""
        return self._asdict()
