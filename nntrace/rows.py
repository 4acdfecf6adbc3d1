"""Sites and batches, as the recorder writes them and as a `Trace` returns them.

Each is declared once for both sides of the run folder; `nntrace.schema` holds their Arrow types.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from nntrace.schema import PLACE_IN_STEP, Role


@dataclass(frozen=True, slots=True)
class Site:
    """One place whose statistics are recorded: a module path and a role.

    The fields are the columns of `sites`. Ids grow in the order in which the training program first
    reached the sites, which is depth order for a feed-forward pass. `range_low`/`range_high` bound
    a bounded activation function. `unit_axis` is the axis of channels or features where it is not
    PyTorch's.
    """

    id: int
    path: str
    role: Role
    module_type: str = ""
    shape: tuple[int, ...] = ()
    dtype: str = "float32"
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
    library_object: int | None = None

    @property
    def shown(self) -> str:
        """The path as messages show it: in backquotes, because a module may be called `0`."""
        return f"`{self.path}`" if self.path else "the model"

    @property
    def module(self) -> str:
        """The path of the module that it belongs to, or that returns it."""
        return self.parent if self.role.is_of_parameters else self.path

    @property
    def place_in_step(self) -> tuple[int, int]:
        """The site's place in the order of a step's computation: smaller is earlier."""
        return PLACE_IN_STEP[self.role], -self.id if self.role.is_backward else self.id

    @property
    def channel_axis(self) -> int:
        """The axis of channels or features in a module's output; -1 when not known."""
        if not self.shape:
            return -1
        if self.unit_axis is not None:
            return self.unit_axis
        return 1 if len(self.shape) > 3 else len(self.shape) - 1

    @property
    def units(self) -> int:
        """The number of channels or features, as the statistics count them; 0 when not known."""
        return self.shape[self.channel_axis] if self.shape else 0

    def row(self) -> dict[str, Any]:
        """The site as a row of `sites`."""
        return {name: getattr(self, name) for name in _names(self)}


@dataclass(frozen=True, slots=True)
class Batch:
    """What one sampled batch held; the fields are the columns of `data`, None where unknown.

    The arguments of further loss functions called in the same step are described alike, by rows of
    `losses`, which leave out the input. `loss_path` is the path of a loss function's sites.
    """

    step: int
    phase: str = "train"
    fingerprint: int | None = None
    batch_size: int | None = None
    duplicate_examples: int | None = None
    epoch: int | None = None
    repeated_examples: int | None = None
    copied_labels: tuple[int, ...] = ()
    input_integer_valued: bool | None = None
    input_mean: float | None = None
    input_std: float | None = None
    input_min: float | None = None
    input_max: float | None = None
    target_mean: float | None = None
    target_std: float | None = None
    target_min: float | None = None
    target_max: float | None = None
    label_values: tuple[int, ...] = ()
    label_counts: tuple[int, ...] = ()
    classes: int | None = None
    loss_function: str | None = None
    loss_path: str | None = None
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
    term_names: tuple[str, ...] = ()
    term_values: tuple[float, ...] = ()
    clamped_fraction: float | None = None

    def row(self) -> dict[str, Any]:
        """The batch as a row of `data`, where an unknown list is null."""
        values = {name: getattr(self, name) for name in _names(self)}
        return {name: None if value == () else value for name, value in values.items()}


def _names(row: Site | Batch) -> Iterator[str]:
    return (field.name for field in fields(row))
