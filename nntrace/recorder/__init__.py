"""The writing side: from an adapter's samples to the run folder, in the training process."""

from nntrace.recorder.account import Instant
from nntrace.recorder.batches import classes_of_rows, moments
from nntrace.recorder.cadence import Cadence
from nntrace.recorder.hooks import ForeignLoss
from nntrace.recorder.keepsakes import MAX_EXAMPLES, batch_extent, next_turn
from nntrace.recorder.pace import is_landmark, is_recorded, last_landmark
from nntrace.recorder.plain_steps import PlainStep
from nntrace.recorder.recorder import Recorder
from nntrace.recorder.sample import (
    NO_SITE,
    NO_TENSOR,
    RUN,
    BatchSample,
    KeptTensor,
    Layout,
    Sample,
    SiteSample,
    fixed_runs,
)
from nntrace.recorder.unrest import LossLevel

__all__ = [
    "MAX_EXAMPLES",
    "NO_SITE",
    "NO_TENSOR",
    "RUN",
    "BatchSample",
    "Cadence",
    "ForeignLoss",
    "Instant",
    "KeptTensor",
    "Layout",
    "LossLevel",
    "PlainStep",
    "Recorder",
    "Sample",
    "SiteSample",
    "batch_extent",
    "classes_of_rows",
    "fixed_runs",
    "is_landmark",
    "is_recorded",
    "last_landmark",
    "moments",
    "next_turn",
]
