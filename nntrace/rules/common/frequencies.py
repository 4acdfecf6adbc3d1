"""What a model learns first: how frequent each label is.

Until it has had the time to learn more, a loss at that level is no sign of a fault.
"""

import math

import numpy as np

from nntrace.rules.common.beside_chance import BesideChance
from nntrace.rules.common.calls import loss_calls
from nntrace.rules.common.chance import batches_of_last_phase, training_batches
from nntrace.rules.common.loss_course import falls_steadily, steps_at_full_rate
from nntrace.rules.common.signals import median, window_medians
from nntrace.trace import Trace

_LEAST_LOSSES = 20
_AT_CHANCE = 0.03  # relative distance, as in LOS11
_WELL_BELOW = 0.8  # times chance: as much as a loss falls before it counts as learning
_WINDOWS = 20  # into which a course is divided
_ABOUT = 1.1  # times a level: as near as a noisy loss comes to it
_TIMES = 5  # at a level for this many times as long as it took to get there: it had its time
_UNEVEN = 1.05  # ln C over the entropy of labels, from which on these are uneven
_OF_EACH = 50  # targets of each class, on average, that are few: a hundred steps of ImageNet are
_OF_EACH_UNEVEN = 300  # the same if classes are as uneven as words


def has_just_learnt_frequencies(loss: BesideChance) -> bool:
    """Whether the loss has only recently reached the entropy of uneven labels.

    Recently: it has not been there five times as long as it took to get there. A network learns how
    frequent each label is before it learns what labels depend on. Language models stay at the
    frequencies of their tokens for a while, then leave them.
    """
    levels = [chance.value for chance in loss.chances]
    if len(levels) < 2 or min(levels) * _ABOUT > max(levels):
        return False
    windows = window_medians(loss.series.value, _WINDOWS)
    there = np.flatnonzero(windows <= _ABOUT * min(levels))
    return bool(len(there) and len(windows) < (1 + _TIMES) * there[0])


def is_no_better_than_chance(trace: Trace) -> bool:
    """Whether the loss of the second half is that of a constant prediction, or higher.

    False if that is unknown. A loss that started far above chance may have fallen without anything
    having been learned yet.
    """
    loss = BesideChance(trace, training_batches(trace))
    if loss.lowest is None or len(loss.series) < _LEAST_LOSSES:
        return False
    return median(loss.series.second_half.value) >= (1.0 - _AT_CHANCE) * loss.lowest


def is_well_below_frequencies(trace: Trace) -> bool:
    """Whether the loss of the second half is a fifth below that of a constant prediction."""
    loss = BesideChance(trace, training_batches(trace))
    if loss.lowest is None or len(loss.series) < _LEAST_LOSSES:
        return False
    return median(loss.series.second_half.value) <= _WELL_BELOW * loss.lowest


def is_on_its_way(trace: Trace) -> bool:
    """Whether the loss has only recently reached the level of the label frequencies, if known."""
    loss = BesideChance(trace, training_batches(trace))
    return is_no_better_than_chance(trace) and has_just_learnt_frequencies(loss)


def has_seen_few_of_each(trace: Trace) -> bool:
    """Whether each class was too rarely a target to be learned, as the words of a vocabulary are.

    The frequencies of uneven classes are learned first, and what they depend on later.
    """
    loss = BesideChance(trace, batches_of_last_phase(trace))
    if not loss.chances:
        return False
    least = _OF_EACH_UNEVEN if _is_uneven(loss) else _OF_EACH
    for call in loss_calls(trace):
        if call.function == loss.function and call.classes and call.target_shape:
            targets = steps_at_full_rate(trace) * math.prod(call.target_shape)
            return call.target_shape != call.shape and targets < least * call.classes
    return False


def goes_below_frequencies(trace: Trace) -> bool:
    """Whether the loss falls steadily and is below the entropy of uneven labels, as words are.

    What is left of such a loss depends on the data, and may be nearly all of it: a share of the
    first loss says little.
    """
    loss = BesideChance(trace, batches_of_last_phase(trace))
    if loss.lowest is None or not _is_uneven(loss) or not falls_steadily(trace):
        return False
    return median(loss.series.second_half.value) < (1.0 - _AT_CHANCE) * loss.lowest


def _is_uneven(loss: BesideChance) -> bool:
    """Whether the entropy of the labels is clearly below the logarithm of their number."""
    levels = [chance.value for chance in loss.chances]
    return min(levels) * _UNEVEN <= max(levels)
