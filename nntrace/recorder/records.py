"""The records a `Recorder` queues, one type per stream; each knows its row in the schema."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from nntrace.schema import EventKind, Role


@dataclass(frozen=True, slots=True)
class SiteRecord:
    """One site; the fields are the columns of `sites`."""

    id: int
    path: str
    role: Role
    module_type: str = ""
    shape: tuple[int, ...] = ()
    dtype: str = ""
    numel: int = 0
    parent: str = ""
    file: str | None = None
    line: int | None = None
    fan_in: int | None = None
    fan_out: int | None = None
    range_low: float | None = None
    range_high: float | None = None
    unit_axis: int | None = None
    requires_grad: bool | None = None
    optimizer: str | None = None
    lr: float | None = None
    weight_decay: float | None = None
    dropout_rate: float | None = None

    def row(self) -> dict[str, Any]:
        """The row of `sites`."""
        return _row(self)


Later = float | Callable[[], float] | None  # a function, while it is on its way to the host
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


def step_columns(
    steps: Sequence[StepRecord], found: Sequence[Mapping[str, float]]
) -> dict[str, list[Any]]:
    """The columns of `steps`, with what only became known of each step from its sample."""
    columns = dict(zip(StepRecord._fields, map(list, zip(*steps, strict=True)), strict=True))
    for name in _MAY_BE_LATE:
        columns[name] = [value() if callable(value) else value for value in columns[name]]
    for number, values in enumerate(found):
        for name, value in values.items():
            columns.setdefault(name, [None] * len(steps))[number] = value
    return columns


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """What one sampled batch held; the fields are the columns of `data`."""

    step: int
    phase: str
    fingerprint: int | None = None
    batch_size: int | None = None
    duplicate_examples: int | None = None
    epoch: int | None = None
    repeated_examples: int | None = None
    input_integer_valued: bool | None = None
    input_mean: float | None = None
    input_std: float | None = None
    input_min: float | None = None
    input_max: float | None = None
    target_mean: float | None = None
    target_std: float | None = None
    target_min: float | None = None
    target_max: float | None = None
    label_values: tuple[int, ...] | None = None
    label_counts: tuple[int, ...] | None = None
    classes: int | None = None
    loss_function: str | None = None
    loss_value: float | None = None
    row_sum_min: float | None = None
    row_sum_max: float | None = None
    output_min: float | None = None
    output_max: float | None = None
    row_lse_min: float | None = None
    row_lse_max: float | None = None
    feature_spread_low: float | None = None
    feature_spread_high: float | None = None
    feature_low: int | None = None
    feature_high: int | None = None
    target_delivered: bool | None = None
    term_names: tuple[str, ...] | None = None
    term_values: tuple[float, ...] | None = None
    clamped_fraction: float | None = None

    def row(self) -> dict[str, Any]:
        """The row of `data`."""
        return _row(self)


class EventRecord(NamedTuple):
    """Something that happened once; `payload` is a JSON object."""

    step: int
    time_ns: int
    kind: EventKind
    severity: str
    site: int | None
    payload: str

    def row(self) -> dict[str, Any]:
        """The row of `events`."""
        return self._asdict()


class ScalarRecord(NamedTuple):
    """A value that the program itself logged."""

    step: int
    time_ns: int
    name: str
    value: float

    def row(self) -> dict[str, Any]:
        """The row of `scalars`."""
        return self._asdict()


def _row(record: SiteRecord | BatchRecord) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}
