"""Gathers the facts of a step when it ends, and resets the places where they were noted."""

import math
import time
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.optim import Optimizer

from nntrace.recorder import Recorder
from nntrace_torch.called_models import phase_of
from nntrace_torch.data.batches import examples_in
from nntrace_torch.late_steps import Step
from nntrace_torch.observers import Observers
from nntrace_torch.optimizer.optimizers import Known
from nntrace_torch.program.devices import allocated_bytes


class StepFacts:
    """The facts of the step that is being made.

    Args:
        model_of: finds the model whose parameters an optimizer steps, as a weak reference.

    Attributes:
        phase_before: the phase at the beginning of a step by hand, whose end is seen only later.
        ended_ns: when the last step ended.
        backward_began_ns: when the first backward pass of the step began; 0 before.
    """

    def __init__(
        self,
        recorder: Recorder,
        parts: Observers,
        model_of: Callable[[Optimizer], Callable[[], nn.Module | None]],
    ) -> None:
        self._recorder = recorder
        self._parts = parts
        self._model_of = model_of
        self.phase_before: str | None = None
        self.ended_ns = time.perf_counter_ns()
        self.backward_began_ns = 0
        self._gathered: list[int | None] = []  # examples of each

    @property
    def is_gathered(self) -> bool:
        """Whether the optimizer has kept gradients of earlier calls for the step being made."""
        return bool(self._gathered)

    def gather(self) -> None:
        """The optimizer keeps the gradients of a call; its step applies the mean of all."""
        self._gathered.append(self.count_examples())

    def take(self, optimizer: Optimizer, known: Known, now: int, *, has_closure: bool) -> Step:
        """The plain facts of the step that ends now."""
        parts, clipping = self._parts, self._parts.clipping
        gathered, self._gathered = self._gathered, []
        calls = 1 + len(gathered)
        loss, backwards = parts.backward.take(first_only=has_closure, calls=calls)
        examples = self.count_examples()
        if gathered and examples is not None:
            examples += sum(one or 0 for one in gathered)
        began_ns, self.backward_began_ns = self.backward_began_ns, 0
        return (
            now,
            parts.loaders.take_wait_ns() if parts.loaders.wait_ns else 0,
            loss,
            parts.optimizers.stepped_with(optimizer, known),
            examples,
            known.name,
            self.phase_before or phase_of(self._model_of(optimizer)()),
            # The time up to the first backward: no other rank can delay it.
            began_ns - self.ended_ns if began_ns and self._recorder.steps else None,
            backwards,
            *(clipping.take() if clipping.calls else (None, None)),
        )

    def is_remarkable(self, step: Step) -> bool:
        """Whether there is more to say of an unsampled step than its plain facts."""
        parts, loss = self._parts, step[2]
        return (
            parts.watch.has_jumped
            or parts.scaling.is_used
            or parts.clearing.cleared is not None
            or type(loss) is not float
            or not math.isfinite(loss)
        )

    def take_more(self, optimizer: Optimizer, *, is_sampled: bool, skipped: bool) -> dict[str, Any]:
        """What more there is to say of the step."""
        parts = self._parts
        jumped, parts.watch.has_jumped = parts.watch.has_jumped, False
        return {
            "sampled": is_sampled,
            "gradients_cleared": parts.clearing.take(optimizer),
            "skipped": skipped,
            "loss_scale": parts.scaling.take_scale() if parts.scaling.is_used else None,
            "memory_bytes": allocated_bytes() if is_sampled else None,
            "jumped": jumped,
        }

    def count_examples(self) -> int | None:
        """The batch size of the last forward with gradients; for language models, sequences."""
        targets = self._parts.losses.batch_size
        for call in reversed(self._parts.calls.kept):
            if call.gradients_enabled:
                found = examples_in(call.args, call.kwargs, outputs=call.outputs, targets=targets)
                return targets if found is None else found
        return targets
