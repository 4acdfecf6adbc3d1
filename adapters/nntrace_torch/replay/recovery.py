"""Finds the random states before calls in steps that were too short to note them.

A call is made again to count its draws, and the generator is stepped back by so many. The state
found is believed if the call, made from it, draws as many numbers and gives the output it gave in
the step, if that still exists.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from nntrace_torch.program.containers import tensors_within
from nntrace_torch.replay.call import Call, autocasting
from nntrace_torch.replay.engine import Replayer, original_of
from nntrace_torch.replay.guard import ReplayRefusedError, WriteGuard
from nntrace_torch.replay.mersenne import cpu_state, draws_between, stepped_back

_CLOSE = 1e-3  # compiled code rounds differently


def recover_random_states(calls: Sequence[Call], replayer: Replayer) -> None:
    """Set `random` of each call of a step, the last of which has just been made.

    Stops at the first call whose draws cannot be counted: calls before that keep None.
    """
    state = cpu_state()
    for call in reversed(calls):
        if call.random is None:
            found = _state_before(call, state, replayer)
            if found is None:
                return
            call.random = found
        state = call.random


def _state_before(call: Call, state: bytes, replayer: Replayer) -> bytes | None:
    trial = _play(call, state, replayer)
    draws = None if trial is None else draws_between(state, trial[0])
    if not draws:
        return state if draws == 0 else None
    found = stepped_back(state, draws)
    again = _play(call, found, replayer)
    if again is None or draws_between(found, again[0]) != draws:
        return None
    given = call.returned() if call.returned is not None else None
    return found if given is None or _is_same(given, again[1]) else None


def _play(call: Call, state: bytes, replayer: Replayer) -> tuple[bytes, Any] | None:
    """Make a call from a random state; the state after it and the first tensor of its output."""
    compute = original_of(call.compute)

    def made(*args: Any, **kwargs: Any) -> tuple[bytes, Any]:
        output = compute(*args, **kwargs)
        return cpu_state(), next(iter(tensors_within(output)), None)

    modules = [compute] if isinstance(compute, nn.Module) else []
    try:
        with autocasting(call):
            return replayer.run(
                made, call.args, call.kwargs, WriteGuard(), modules=modules, random_state=state
            )
    except (Exception, ReplayRefusedError):  # what cannot be replayed has no state to be found
        return None


def _is_same(given: torch.Tensor, output: Any) -> bool:
    return (
        isinstance(output, torch.Tensor)
        and output.shape == given.shape
        and torch.allclose(given.detach(), output, rtol=_CLOSE, atol=_CLOSE, equal_nan=True)
    )
