"""Turns a run into named scalars over steps, the form that TensorBoard and Weights & Biases take.

Names go from the general to the particular, `activation/std/conv1`, so that tools group them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from nntrace.rules.common.layers import update_ratios
from nntrace.schema import Role
from nntrace.text import printable
from nntrace.trace import Trace
from nntrace.trace.model import FloatArray, IntArray

STATISTICS: Final = ("mean", "std", "rms", "min", "max", "zero_fraction", "nonfinite_fraction")
_OF_ACTIVATIONS: Final = ("dead_fraction", "saturated_fraction")


@dataclass(frozen=True, slots=True)
class Scalar:
    """One named series: `value` [n] at `step` [n].

    A loss and a number of the program's own that were NaN are NaN here, too. In the other series
    NaN stands for a missing value and is left out.
    """

    name: str
    step: IntArray
    value: FloatArray


def scalars(trace: Trace) -> Iterator[Scalar]:
    """Every series of one rank that holds a value: those of the training, then of each site."""
    steps = trace.steps
    had_loss = np.asarray(trace.table("steps")["loss"].is_valid())
    yield from _series("train/loss", steps.step[had_loss], steps.loss[had_loss])
    training = {
        "train/learning_rate": steps.lr,
        "train/gradient_norm": steps.grad_norm,
        "train/batch_size": steps.batch_size,
        "time/step_ms": steps.duration_ns / 1e6,
        "time/data_wait_ms": steps.data_wait_ns / 1e6,
        "time/nntrace_ms": steps.overhead_ns / 1e6,
    }
    for name, values in training.items():
        yield from _known(name, steps.step, values)
    for name, (step, values) in trace.scalars.items():
        yield from _series(f"logged/{tag(name)}", step, values)
    for role in Role:
        statistics = STATISTICS + (_OF_ACTIVATIONS if role is Role.ACTIVATION else ())
        for statistic in statistics if trace.sites_of(role) else ():
            values = trace.series(role, statistic)
            for column, site in enumerate(trace.sites_of(role)):
                name = f"{role.value}/{statistic}/{tag(site.path)}"
                yield from _known(name, trace.sampled_steps, values[:, column])
    parameters = trace.sites_of(Role.PARAM)
    ratios = update_ratios(trace, parameters)
    for column, site in enumerate(parameters):
        yield from _known(f"update_ratio/{tag(site.path)}", trace.sampled_steps, ratios[:, column])


def tag(path: str) -> str:
    """The path of a site as part of a series' name."""
    return printable(path) or "(root)"


def _known(name: str, step: IntArray, values: FloatArray) -> Iterator[Scalar]:
    """The series without steps at which the value is NaN; nothing when no step is left."""
    known = ~np.isnan(values)
    yield from _series(name, step[known], values[known])


def _series(name: str, step: IntArray, values: FloatArray) -> Iterator[Scalar]:
    if len(step):
        yield Scalar(name, step, values)
