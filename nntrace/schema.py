"""The contract on disk: stream names, Arrow schemas, roles and the words both sides share.

Everything that writes or reads a run folder derives from this module; nothing here imports a
framework. A change that an old reader would misread raises `SCHEMA_VERSION`; added nullable
columns do not, because readers fill what a stream lacks with nulls.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SCHEMA_VERSION: Final = 1
MANIFEST: Final = "manifest.json"
RANK_FOLDER: Final = "rank-{:05d}"
SEGMENT: Final = "{}-{:05d}.arrows"
PACKED: Final = "{}.parquet"
SEGMENT_BYTES: Final = 64 * 1024 * 1024
RUNS_FOLDER: Final = "nntrace-runs"
CAPSULES_FOLDER: Final = "capsules"  # in the rank's folder
CAPSULE: Final = "capsule-{:03d}"  # numbered from 0 on
CAPSULE_SUFFIXES: Final = (".json", ".safetensors")
SPARE_ROWS: Final = 2  # of an embedding beyond its tokens: for padding and the unknown token


class Role(StrEnum):
    """What a site's numbers are about; the second half of a site's identity."""

    ACTIVATION = "activation"
    ACTIVATION_GRAD = "activation_grad"
    PARAM = "param"
    PARAM_GRAD = "param_grad"
    UPDATE = "update"
    INPUT = "input"
    TARGET = "target"
    OUTPUT = "output"
    ATTENTION = "attention"
    RUNNING_NORM = "running_norm"

    @property
    def is_of_parameters(self) -> bool:
        """Whether its sites are those of parameters, not of what modules return."""
        return self in (Role.PARAM, Role.PARAM_GRAD, Role.UPDATE)

    @property
    def is_backward(self) -> bool:
        """Whether its values are computed backwards, from the last module to the first."""
        return self in (Role.ACTIVATION_GRAD, Role.PARAM_GRAD)


# The order in which an optimizer step computes the values of each role, and the loss among them.
# Parameters come first: their values are those before the step.
PLACE_IN_STEP: Final = {
    Role.PARAM: 0,
    Role.INPUT: 1,
    Role.TARGET: 2,
    Role.ACTIVATION: 3,
    Role.ATTENTION: 3,
    Role.RUNNING_NORM: 3,
    Role.OUTPUT: 4,
    Role.ACTIVATION_GRAD: 6,
    Role.PARAM_GRAD: 7,
    Role.UPDATE: 8,
}
PLACE_OF_LOSS: Final = 5


class EventKind(StrEnum):
    """The kinds of `events` rows. A payload is a JSON object; its keys are in the trace docs."""

    RANK_START = "rank_start"
    RANK_STOP = "rank_stop"
    DISTRIBUTED = "distributed"
    SEED = "seed"
    LOADER = "loader"
    EPOCH = "epoch"
    LOSS_CALL = "loss_call"
    OBJECTIVE = "objective"
    ALIGNMENT = "alignment"
    DIRECTION = "direction"
    SIGNS = "signs"
    SHIFTED = "shifted"
    GENERATED = "generated"
    ATTACHED = "attached"
    FLIPS = "flips"
    OPTIMIZER = "optimizer"
    LEFT_OUT = "left_out"
    MODE = "mode"
    EVALUATION = "evaluation"
    SCHEDULER = "scheduler"
    GRAPH = "graph"
    NONFINITE = "nonfinite"
    ORIGIN = "origin"
    CAPSULE = "capsule"
    IDLE = "idle"
    LOOSE = "loose"
    LOADED = "loaded"
    CARRIED = "carried"
    PADDED = "padded"
    REUSED = "reused"
    TOKENS = "tokens"
    DEVICE = "device"
    UNSCALED = "unscaled"
    UNSEEN = "unseen"
    EXPERIMENT = "experiment"
    CAUSALITY = "causality"
    AXES = "axes"
    CLIPPING = "clipping"
    CROSSED = "crossed"
    KEPT_GRAPHS = "kept_graphs"
    TRAINABLE = "trainable"
    VAIN_SETTING = "vain_setting"
    TRAINED_ON = "trained_on"
    MONITOR = "monitor"
    ERROR = "error"


class RunStatus(StrEnum):
    """The status of a run. KILLED is inferred by readers; it is never written."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name and its Arrow type's name (`list<…>` for lists)."""

    name: str
    type: str


def _columns(spec: str) -> tuple[Column, ...]:
    """Parse the tables below: one `name type` pair per line."""
    return tuple(Column(*line.split()) for line in spec.strip().splitlines())


MOMENTS: Final = ("mean", "std", "rms", "min", "max")
QUANTILES: Final = {"q01": 0.01, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q99": 0.99}

# The statistics of one site at one sampled step, all float32, over the finite sampled elements.
STATISTICS: Final = (
    *MOMENTS,
    *QUANTILES,
    "zero_fraction",
    "nonfinite_fraction",
    "skew",
    "kurtosis",
    "example_std",
    "dead_fraction",
    "saturated_fraction",
    "effective_rank",
)

# The arguments of a loss function and the value it returned.
_LOSS_CALL: Final = """target_mean float32
        target_std float32
        target_min float32
        target_max float32
        label_values list<int64>
        label_counts list<int64>
        classes int32
        loss_function string
        loss_path string
        loss_value float32
        row_sum_min float32
        row_sum_max float32
        output_min float32
        output_max float32
        row_lse_min float32
        row_lse_max float32"""

STREAMS: Final[dict[str, tuple[Column, ...]]] = {
    "sites": _columns("""
        id int32
        path string
        role string
        module_type string
        shape list<int64>
        dtype string
        numel int64
        parent string
        file string
        line int32
        fan_in int64
        fan_out int64
        range_low float32
        range_high float32
        unit_axis int32
        requires_grad bool
        optimizer string
        lr float32
        weight_decay float32
        dropout_rate float32
        library_object int32
    """),
    "steps": _columns("""
        step int64
        time_ns int64
        duration_ns int64
        data_wait_ns int64
        loss float64
        lr float64
        grad_norm float64
        batch_size int32
        optimizer string
        phase string
        sampled bool
        overhead_ns int64
        gradients_cleared bool
        before_backward_ns int64
        backwards int32
        skipped bool
        loss_scale float32
        memory_bytes int64
        cpu_ns int64
        clip_norm float64
        clip_limit float64
        gradient_cosine float32
        update_cosine float32
    """),
    "stats": (
        Column("step", "int64"),
        Column("site", "int32"),
        Column("n", "int32"),
        *(Column(name, "float32") for name in STATISTICS),
    ),
    "histograms": _columns("""
        step int64
        site int32
        edges list<float32>
        counts list<int32>
    """),
    "data": _columns(f"""
        step int64
        phase string
        fingerprint int64
        batch_size int32
        duplicate_examples int32
        epoch int64
        repeated_examples int32
        copied_labels list<int64>
        input_integer_valued bool
        input_mean float32
        input_std float32
        input_min float32
        input_max float32
        {_LOSS_CALL}
        feature_spread_low float32
        feature_spread_high float32
        feature_low int32
        feature_high int32
        target_delivered bool
        term_names list<string>
        term_values list<float32>
        clamped_fraction float32
    """),
    "losses": _columns(f"""
        step int64
        phase string
        batch_size int32
        {_LOSS_CALL}
        target_delivered bool
    """),
    "tensors": _columns("""
        step int64
        role string
        path string
        shape list<int64>
        dtype string
        kept_shape list<int64>
        stride int32
        values list<float64>
    """),
    "scalars": _columns("""
        step int64
        time_ns int64
        name string
        value float64
    """),
    "events": _columns("""
        step int64
        time_ns int64
        kind string
        severity string
        site int32
        payload string
    """),
}
