"""Observes what enters the model: samples of inputs, and a hash of every example of the batch."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch.nn.utils.rnn import PackedSequence

from nntrace.recorder import Recorder
from nntrace.schema import Role
from nntrace_torch.program.containers import is_list_of_examples, named_parts
from nntrace_torch.program.describe import tensor_fields
from nntrace_torch.program.sources import UNKNOWN
from nntrace_torch.program.tensors import sampled_part
from nntrace_torch.samples.keepsakes import kept_batch
from nntrace_torch.samples.modules import Model
from nntrace_torch.samples.plans import Plan, activation_plan
from nntrace_torch.samples.step import StepSample

_MAX_EXAMPLES = 4096
_MAX_HASHED = 1 << 15  # elements of a batch that are hashed
_MULTIPLIER = 0x9E3779B97F4A7C15 - (1 << 64)  # 2^64 divided by the golden ratio, as an int64
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class InputSampler:
    """Samples the tensors that a root module is called with.

    Of a model that is called many times in a step with one example each, a different call is
    sampled in each step: the first call of an episode, for one, always sees the same state. The
    statistics of a batch are in turn those of each alike call before the step's first backward
    pass: a step may draw from two data sets.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._sites: dict[tuple[str, str], int] = {}
        self._has_kept = False
        self._prefix = ""  # of the model whose inputs are recorded in this step
        self._calls = self._due = self._turn = self._values_due = 0
        self._forwards: dict[str, int] = {}  # by prefix: alike calls before the last backward
        self._kind: tuple[Any, ...] = ()  # of the first input of this step's first call

    def observe(
        self, model: Model, args: tuple[Any, ...], kwargs: dict[str, Any], sample: StepSample
    ) -> bool:
        """Sample the inputs of a training forward, and hash the examples of the first.

        Returns:
            Whether there was any tensor among them.
        """
        inputs = list(inputs_of(args, kwargs))
        if not inputs:
            return False
        first = _first_of(inputs)
        single = first.part.dim() == 1 or first.examples == 1
        self._due = 1 + self._turn % max(1, self._calls) if single else 1
        self._values_due = 1 + self._turn % self._forwards.get(model.prefix, 1)
        self._turn += 1
        self._prefix, self._calls = model.prefix, 1
        self._forwards[model.prefix] = 1
        self._kind = _kind(first)
        if self._due == 1:
            self._add(model, inputs, sample)
        if self._values_due == 1:
            _add_values(first, sample)
        if first.rows_are_examples:
            sample.batch.add_hashes(_hashes_of_all(inputs, first))
        if first.part.dim() > 1 or not first.rows_are_examples:
            sample.batch.describe(batch_size=first.examples)
        if first.part.dim() in (2, 3) and first.part.is_floating_point():
            plan = input_plan(first.part, sample.limit)
            if plan.layout.units == first.part.shape[-1]:
                sample.batch.describe(input_features=plan.layout.units)
        if not self._has_kept:
            self._has_kept = True
            for name, part, _ in inputs:
                sample.keep(kept_batch(part, Role.INPUT, model.join(name)))
        return True

    def called_again(
        self, model: Model, args: tuple[Any, ...], kwargs: dict[str, Any], sample: StepSample
    ) -> None:
        """Count a later call in the step; one with both kinds of arguments is reported twice."""
        if model.prefix != self._prefix or bool(args) is bool(kwargs):
            return
        self._calls += 1
        if self._calls == self._due:
            self._add(model, inputs_of(args, kwargs), sample)
        inputs = [] if sample.has_backward else list(inputs_of(args, kwargs))
        if not inputs or _kind(first := _first_of(inputs)) != self._kind:
            return
        self._forwards[model.prefix] += 1
        if self._forwards[model.prefix] == self._values_due:
            _add_values(first, sample)

    def _add(self, model: Model, inputs: "Iterable[Input]", sample: StepSample) -> None:
        for name, part, _ in inputs:
            sample.add(self._site(model, name, part), input_plan(part, sample.limit), part)

    def _site(self, model: Model, name: str, tensor: torch.Tensor) -> int:
        key = (model.prefix, name)
        if key not in self._sites:
            self._sites[key] = self._recorder.add_site(
                model.join(name), Role.INPUT, module_type="input", **tensor_fields(tensor, UNKNOWN)
            )
        return self._sites[key]


def _first_of(inputs: "list[Input]") -> "Input":
    """The first input of floating-point numbers, or the first of all."""
    return next((one for one in inputs if one.part.is_floating_point()), inputs[0])


def _kind(first: "Input") -> tuple[Any, ...]:
    return first.part.dtype, first.part.shape[1:]


def _add_values(first: "Input", sample: StepSample) -> None:
    values = input_plan(first.part, sample.limit).view(first.part, sample.turn)
    sample.batch.add("inputs", values.contiguous())


def input_plan(part: torch.Tensor, limit: int, *, staggered: bool = False) -> Plan:
    """Which elements of an input are sampled; `staggered` takes others of each example."""
    axis = 1 if part.dim() >= 4 else -1
    return activation_plan(tuple(part.shape), part.stride(), axis, limit, staggered=staggered)


def _hashes_of_all(inputs: "list[Input]", first: "Input") -> torch.Tensor:
    """A hash of each example over all inputs that have the examples on their first axis.

    Two texts of equal length share their attention mask, and yet are two examples.
    """
    total = example_hashes(first.part)
    for place, one in enumerate(inputs):
        fits = one.rows_are_examples and one.examples == first.examples
        if one is not first and fits and one.part.device == first.part.device:
            total = total + example_hashes(one.part) * (2 * place + 3)
    return total


def example_hashes(batch: torch.Tensor) -> torch.Tensor:
    """An int64 hash for each example of a batch [N, …], equal for examples with equal bits.

    Of large examples at least 1024 evenly spread elements are hashed, and the sum of all.
    """
    count = min(batch.shape[0], _MAX_EXAMPLES)
    flat = batch[:count].reshape(count, -1)
    features = flat.shape[1]
    kept = min(features, max(1024, _MAX_HASHED // count))
    whole = flat
    flat = flat[:, :: max(1, features // kept)].contiguous()
    if flat.dtype is torch.bool:
        flat = flat.to(torch.uint8)
    bits = flat.view(_BITS[flat.element_size()]).to(torch.int64)
    place = torch.arange(1, bits.shape[1] + 1, device=bits.device)
    mixed = (bits + place) * _MULTIPLIER  # wraps around, which is meant
    hashes = ((mixed ^ (mixed >> 29)) * (2 * place + 1)).sum(dim=1)
    if flat.shape[1] < features:
        # Two sparse examples may be equal in all elements that are hashed. The sum is taken in
        # double precision first: its order may depend on the number of examples.
        sums = whole.sum(dim=1, dtype=torch.float64).to(torch.float32)
        hashes = hashes + sums.view(torch.int32).to(torch.int64) * _MULTIPLIER
    return hashes


class Input(NamedTuple):
    """One tensor given to a model: its name, what is sampled of it, how many examples it holds."""

    name: str
    part: torch.Tensor
    examples: int

    @property
    def rows_are_examples(self) -> bool:
        """Whether the first axis is examples: false for concatenated sequences."""
        return self.examples == self.part.shape[0]


def inputs_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Input]:
    """The tensors among the arguments of a call, those in containers included."""
    named = {**{str(number): value for number, value in enumerate(args)}, **kwargs}
    for name, value in named.items():
        listed = len(value) if is_list_of_examples(value, named.values()) else 0
        for own, item in named_parts(f"input.{name}", value):
            data = item.data if isinstance(item, PackedSequence) else item
            part = sampled_part(data)
            if part is None or not part.dim():
                continue
            if data.is_complex():
                part = part[..., 0]
                if not part.dim():
                    continue
            part = part[None] if listed else part
            examples = listed or part.shape[0]
            if isinstance(item, PackedSequence):
                examples = int(item.batch_sizes[0])
            elif data.is_nested:
                examples = int(data.size(0))
            yield Input(own, part, examples)


def examples_in(
    args: tuple[Any, ...], kwargs: dict[str, Any], *, outputs: int | None, targets: int | None
) -> int | None:
    """The batch size of a model's call, as far as its first tensor tells; None if it does not.

    Args:
        args: the call's arguments.
        kwargs: the call's keyword arguments.
        outputs: the length of the output's first axis; None if not known.
        targets: the length of the first axis of the loss function's targets; None without any.
    """
    first = args[0] if args else None
    if type(first) is not torch.Tensor:
        found = next(inputs_of(args, kwargs), None)
        if found is None or not found.rows_are_examples:
            return None if found is None else found.examples
        first = found.part
    shape = first.shape
    if not shape:
        return None
    if len(shape) == 1 and not first.is_floating_point():
        # Either one id per example, or the words of all, one text after another.
        return shape[0] if targets is None or outputs not in (None, targets) else targets
    if len(shape) == 1 and shape[0] != targets:
        # Either the features of one example, or one number per example.
        return None if outputs is None else shape[0] if shape[0] == outputs else 1
    if len(shape) > 2 and shape[1] == targets != shape[0] and first.is_floating_point():
        return shape[1]  # sequences with time on the first axis
    return shape[0]
