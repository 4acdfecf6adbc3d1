"""The arguments and values of a step's loss functions: targets, predictions, losses."""

from collections.abc import Sequence
from dataclasses import replace

import tensorflow as tf

from nntrace.recorder import Recorder
from nntrace.schema import EventKind, Role
from nntrace_keras.data.batches import GivenLoss
from nntrace_keras.program.losses import (
    LossFacts,
    announcement,
    is_exchanged,
    is_handed_in,
    is_symbolic,
    positions_of_one_target,
)
from nntrace_keras.program.objective import Term, sum_of
from nntrace_keras.program.sources import Source
from nntrace_keras.samples.capture import Capture
from nntrace_keras.samples.flipped_masks import add_masks
from nntrace_keras.samples.tensor_sites import tensor_site
from nntrace_keras.tape.loss_paths import LossAt
from nntrace_keras.tape.under_tape import LossCall


class LossReader:
    """Plans what is read of loss calls, and records each line that calls a loss once.

    The first loss of a step stands for the step's batch.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._announced: set[tuple[str, Source]] = set()

    def read(
        self, capture: Capture, called: Sequence[LossAt], objective: Sequence[Term]
    ) -> tuple[GivenLoss, ...]:
        """Add the sites of these calls to the capture; return what is known of their arguments."""
        given = tuple(self._read(capture, at, objective) for at in called)
        if called and given[0].target is not None:
            capture.keepsakes.add(given[0].target, tf.convert_to_tensor(called[0].call.target))
        return given

    def _read(self, capture: Capture, at: LossAt, objective: Sequence[Term]) -> GivenLoss:
        call, facts, path, prediction = at.call, at.facts, at.path, at.prediction
        target, value = tf.convert_to_tensor(call.target), call.value
        summed = sum_of(objective, value)
        if summed is not None:
            facts, value = replace(facts, reduction="sum"), summed
        name = facts.function
        classes = int(prediction.shape[-1] or 0) if (prediction.shape.rank or 0) > 1 else 1
        self._announce(facts, path, classes, call)
        output = tensor_site(path, Role.OUTPUT, name, prediction, call.source)
        if prediction.shape.rank:
            capture.add_examples(output, prediction)
        of_target = tensor_site(path, Role.TARGET, name, target, call.source)
        if target.shape.rank:
            capture.add_examples(of_target, target, by_example=True)
        given = GivenLoss(
            path,
            name,
            of_target,
            output,
            f"loss_value:{path}",
            labels=facts.labels or target.dtype.is_integer,
            ignored=facts.ignored,
            by_class=facts.by_class and not facts.labels,
            is_delivered=facts.is_keras and is_handed_in(target) if is_symbolic(target) else None,
            classes=classes or None,
        )
        if facts.is_keras:
            add_masks(capture, path, facts, target, prediction)
        if value is not None and value.shape.rank == 0:
            capture.add_scalar(given.value, value)
        return given

    def _announce(self, facts: LossFacts, path: str, classes: int, call: LossCall) -> None:
        source = call.source
        if (path, source) in self._announced:
            return
        self._announced.add((path, source))
        payload = announcement(facts, path, classes, source, is_weighted=call.is_weighted)
        payload["masked"] = call.is_masked
        payload["positions"] = positions_of_one_target(facts, call.target, call.prediction)
        payload["exchanged"] = is_exchanged(facts, call.target, call.prediction)
        self._recorder.add_event(EventKind.LOSS_CALL, payload)
