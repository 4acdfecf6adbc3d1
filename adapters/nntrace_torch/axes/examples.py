"""A model under suspicion is asked, once in a run, whether it mixes the examples of a batch.

It is suspect with sequence layers that take their examples along the second axis, given a batch
whose examples lie along the first, and where the loss does not come down. The forward of one step
is then replayed with other examples beside one, as `nntrace check` does it.
"""

from typing import Any

import torch
from torch import nn

from nntrace_torch.probes.dependencies import FOUND, Answer, Forward, examine
from nntrace_torch.probes.mixing import mixing, sequence_first
from nntrace_torch.program.module_tree import parameters_of
from nntrace_torch.program.tensors import can_sample
from nntrace_torch.replay.call import Call
from nntrace_torch.replay.engine import Replayer

_STUCK = 0.95  # of the lowest of the first losses, the very first of which is often above chance
_FIRST = 10  # losses
_SAMPLES = 30  # sampled steps after which a loss that is still there is a suspicion
_COMPARED = 1 << 16  # elements of a batch, in whole examples
_MANY = 1 << 26  # parameters and elements of the input, of which a replay makes some


class ExamplesWatch:
    """Waits for the suspicion, and examines one forward.

    Attributes:
        samples: how many steps were sampled, not all of which are looked at.
        is_done: whether it has looked.
    """

    def __init__(self, replayer: Replayer) -> None:
        self._replayer = replayer
        self.samples = 0
        self._first: list[float] = []
        self._part: torch.Tensor | None = None  # of the first batch, until another one differs
        self._varies = False
        self.is_done = False

    def look(
        self, call: Call, examples: int | None, loss: Any, *, from_loader: bool, stacked: bool
    ) -> Answer | None:
        """Before the first backward of a sampled step: what was found, if it mixes.

        Args:
            call: the last of a model.
            examples: the first axis of the targets that its loss function was given.
            loss: the number that is differentiated, if it is known already.
            from_loader: whether a loader delivers the batches, in that size.
            stacked: whether PyTorch puts them together, examples along the first axis.
        """
        if type(loss) is float and len(self._first) < _FIRST:
            self._first.append(loss)
        module = call.compute
        if not isinstance(module, nn.Module) or not call.gradients_enabled:
            return None
        forward = Forward.of(module, (call.args, call.kwargs), self._replayer, None)
        given = _batch(forward, examples, from_loader=from_loader, stacked=stacked)
        if given is None:
            return None
        if not self._varies and not self._differs(given):
            return None  # a full batch: perhaps one graph, whose nodes belong together
        is_suspect = sequence_first(module) is not None or (
            self.samples > _SAMPLES
            and len(self._first) == _FIRST
            and type(loss) is float
            and loss > _STUCK * min(self._first)
        )
        if not is_suspect:
            return None
        self.is_done = True
        if given.numel() + sum(p.numel() for p in parameters_of(module)) > _MANY:
            return None
        answer = examine("mixing", lambda: mixing(forward, examples=examples, exact=False))
        return answer if answer.state == FOUND else None

    def _differs(self, given: torch.Tensor) -> bool:
        """Whether a batch is another one than the first of its shape."""
        rows = 1 + _COMPARED * given.shape[0] // given.numel() if given.numel() else 0
        part, before = given.detach()[:rows], self._part
        if before is None or before.shape != part.shape:
            self._part = part.clone()
            return False
        self._varies = not torch.equal(before, part)
        if self._varies:
            self._part = None
        return self._varies


def _batch(
    forward: Forward, examples: int | None, *, from_loader: bool, stacked: bool
) -> torch.Tensor | None:
    """The input, if its first axis is sure to be that of the examples.

    A sentence or an episode has positions there, each with a target of its own.
    """
    given = [tensor for _, tensor in forward.data() if tensor.dim() > 1]
    if len(given) != 1 or len(forward.data()) != 1 or examples is None:
        return None
    if not can_sample(given[0]):  # jagged, sparse
        return None
    shape = given[0].shape
    if shape[0] != examples or shape[1] < 2:
        return None
    if shape[1] == examples and not (from_loader and stacked and given[0].is_contiguous()):
        return None  # the axes may have been exchanged
    is_tokens = not given[0].is_floating_point()
    return given[0] if from_loader or len(shape) > 2 or is_tokens else None
