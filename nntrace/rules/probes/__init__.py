"""PRB: verdicts on the experiments that `nntrace check` makes with the user's own script.

Each rule gets the trace of the baseline; `trace.under(name)` is the run of an experiment. What an
experiment cannot decide is skipped: a probe never blames a program for a run that was too short.
"""

from nntrace.rules.probes.advantage import (
    advantage,
    ignores_input,
    labels_carry_no_signal,
    more_capacity_does_not_help,
)
from nntrace.rules.probes.experiments import problem, told
from nntrace.rules.probes.one_batch import Fit, cannot_overfit_one_batch, fit
from nntrace.rules.probes.rates import Sweep, lr_range, sweep
from nntrace.rules.probes.repetition import not_reproducible
from nntrace.rules.probes.replay import mixes_examples, sees_the_future, wrong_backward

__all__ = [
    "Fit",
    "Sweep",
    "advantage",
    "cannot_overfit_one_batch",
    "fit",
    "ignores_input",
    "labels_carry_no_signal",
    "lr_range",
    "mixes_examples",
    "more_capacity_does_not_help",
    "not_reproducible",
    "problem",
    "sees_the_future",
    "sweep",
    "told",
    "wrong_backward",
]
