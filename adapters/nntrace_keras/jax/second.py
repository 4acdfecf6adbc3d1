"""A training step on JAX computed a second time: what is sampled of it.

The compiled step itself is left alone. The second computation starts from the same batch, the same
variables and the same random numbers, which on JAX are all arguments of the step, and gives
back the sampled elements alone.
"""

import random
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras.src.trainers.data_adapters.data_adapter_utils import unpack_x_y_sample_weight

from nntrace.adapter.flow import NewGraphs
from nntrace.recorder import Recorder
from nntrace.schema import EventKind, Role
from nntrace_keras.data.batches import BatchFacts, GivenLoss
from nntrace_keras.jax.keys import KeyOf
from nntrace_keras.jax.reads import Read, hashes, in_order, layouts, phases_of, read_elements
from nntrace_keras.jax.watch import CannotComputeError, JaxWatch, Seen
from nntrace_keras.program.losses import announcement, positions_of_one_target
from nntrace_keras.program.modes import Modes
from nntrace_keras.program.sources import UNKNOWN, Source, Sources
from nntrace_keras.samples.elements import FlatPlan, examples_plan, flat_plan
from nntrace_keras.samples.layouts import Found, Layouts
from nntrace_keras.samples.sites import SiteKey
from nntrace_keras.samples.tensor_sites import activation_site, tensor_site
from nntrace_keras.tape.loss_paths import LossAt, told_apart
from nntrace_keras.tape.under_tape import Mode, RootCall

_MOST_SHAPES = 4  # of batches: each is compiled by itself
OBJECTIVE = "objective"  # what was differentiated, among the values of a batch


class Looked(NamedTuple):
    """What a second computation found of one function that the step differentiates.

    Attributes:
        order: the sites in the order in which the step meets them.
        inputs: the places of its inputs among the leaves of the step's arguments.
    """

    found: Found
    facts: BatchFacts
    order: Sequence[SiteKey]
    inputs: Sequence[int] = ()


class Step(Protocol):
    """A step that can be computed again."""

    def run(self, *arguments: Any) -> object:
        """Make it."""

    def inputs(self, seen: Seen, arguments: Sequence[Any]) -> list[tuple[str, Any]]:
        """What went into the model, while the step is traced, under its names."""

    def keys(self, seen: Seen) -> Sequence[KeyOf | None]:
        """The sites of what `seen.gradients` are the gradients by; None for what is no variable."""


class _Part(NamedTuple):
    """What is read of one function that a step differentiates.

    Attributes:
        inputs: the places of its inputs among the leaves of the step's arguments.
        root: the call of its first model, without tensors; None if it calls none.
        modes: of the layers in it that behave differently in training.
    """

    layouts: Layouts
    facts: BatchFacts
    order: Sequence[SiteKey]
    inputs: Sequence[int]
    root: RootCall | None
    modes: Sequence[Mode]


class _Computation(NamedTuple):
    call: Callable[..., Any]
    parts: Sequence[_Part]


class JaxSecond:
    """The second computations of one step, one for each shape of its arguments.

    Args:
        watch: makes what sees a step's calls while it is traced.
        modes: those of all models.
        prefix_of: the name of a model in the trace.
    """

    def __init__(
        self,
        recorder: Recorder,
        sources: Sources,
        watch: Callable[[], JaxWatch],
        modes: Modes,
        prefix_of: Callable[[Any], str],
    ) -> None:
        self._modes = modes
        self._prefix_of = prefix_of
        self._recorder = recorder
        self._sources = sources
        self._watch = watch
        self._built: dict[Any, _Computation] = {}
        self._announced: set[tuple[str, Source]] = set()
        self._graphs = NewGraphs(recorder)

    def look(
        self, step: Step, arguments: Sequence[Any], turn: int, variant: Hashable = None
    ) -> list[Looked]:
        """Compute a step; empty for one more shape than are compiled.

        Args:
            step: is made of
            arguments: these, which live on.
            turn: moves the rows that are read.
            variant: what else decides how the step is traced.

        Raises:
            CannotComputeError: nothing can be seen of such steps.
        """
        leaves, structure = jax.tree_util.tree_flatten(arguments)
        shapes = (variant, structure, *(_shape(leaf) for leaf in leaves))
        if shapes not in self._built:
            if len(self._built) == _MOST_SHAPES:
                return []
            with self._recorder.setting_up():
                self._built[shapes] = self._build(step, arguments)
        call, parts = self._built[shapes]
        vectors = call(phases_of(turn), *arguments)
        looked = []
        for part, vector in zip(parts, vectors, strict=True):
            found = part.layouts.find(np.asarray(vector), turn)
            for number, place in enumerate(part.inputs):
                found.batch[f"hashes.{number}"] = hashes(leaves[place])
            if part.root is not None:
                self._modes.note(self._prefix_of(part.root.layer), part.root, part.modes)
            looked.append(Looked(found, part.facts, part.order, part.inputs))
        return looked

    def _build(self, step: Step, arguments: Sequence[Any]) -> _Computation:
        watch = self._watch()
        planned: list[list[_Part]] = []

        def compute(moved: Any, *arguments: Any) -> Any:
            with watch.watching():
                step.run(*arguments)
            if not watch.all:
                raise CannotComputeError("it calls neither `jax.value_and_grad` nor `jax.grad`")
            leaves = {id(leaf): n for n, leaf in enumerate(jax.tree_util.tree_leaves(arguments))}
            parts, vectors = [], []
            for seen in watch.all:
                keys, inputs = step.keys(seen), step.inputs(seen, arguments)
                reads, facts = self._plan(seen, inputs, keys)
                at = [leaves[id(tensor)] for _, tensor in inputs if id(tensor) in leaves]
                order = in_order(reads, [key_of for key_of in keys if key_of is not None])
                parts.append(_Part(layouts(reads), facts, order, at, *_mode(seen)))
                vectors.append(jnp.concatenate([read_elements(read, moved) for read in reads]))
            planned.append(parts)
            return vectors

        try:
            with untouched():
                call = jax.jit(compute).lower(phases_of(0), *arguments).compile()
        except CannotComputeError:
            raise
        except Exception as error:  # whatever the program's own code makes of being traced
            message = f"it cannot be traced: {type(error).__name__}"
            raise CannotComputeError(message) from error
        for seen in watch.all:
            if seen.flow is not None:
                self._graphs.add(seen.flow)
        return _Computation(call, planned[-1])

    def _plan(
        self, seen: Seen, inputs: Sequence[tuple[str, Any]], keys: Sequence[KeyOf | None]
    ) -> tuple[list[Read], BatchFacts]:
        """What is read of a step."""
        reads: list[Read] = []
        scale = 1.0 if seen.scale is None else seen.scale

        def add(site: SiteKey, tensor: Any, axis: int = -1) -> SiteKey:
            reads.append(Read(site, "", examples_plan(tuple(tensor.shape), axis), tensor))
            return site

        entered = [
            add(tensor_site(name, Role.INPUT, "input", array, UNKNOWN), array)
            for name, array in inputs
        ]
        for call, gradient in zip(seen.layers, seen.output_gradients, strict=True):
            source = self._sources.of(call.layer)
            site = activation_site(call, Role.ACTIVATION, source)
            axis = dict(site.facts).get("unit_axis", -1)
            add(site, call.output, axis)
            add(activation_site(call, Role.ACTIVATION_GRAD, source), gradient / scale, axis)
        gradients = jax.tree_util.tree_leaves(seen.gradients)
        for key_of, gradient in zip(keys, gradients, strict=False):
            if key_of is None:
                continue
            plan = flat_plan(tuple(gradient.shape))
            reads.append(Read(key_of(Role.PARAM_GRAD), "", plan, gradient / scale))
        called = [call for call in seen.losses if call.prediction.ndim]
        losses = [self._loss(at, reads, add) for at in told_apart(called)]
        output = seen.roots[-1].output if seen.roots and not called else None
        if output is not None and is_data(output) and jnp.issubdtype(output.dtype, jnp.floating):
            add(tensor_site("", Role.OUTPUT, "", output, UNKNOWN), output)
        reads.append(Read(None, OBJECTIVE, FlatPlan(1, 1), seen.loss / scale))
        return reads, BatchFacts(next(iter(entered), None), tuple(losses))

    def _loss(self, at: LossAt, reads: list[Read], add: Callable[..., SiteKey]) -> GivenLoss:
        """Read the predictions and the targets of a loss function."""
        call, known, path = at.call, at.facts, at.path
        name, shape, target = known.function, at.prediction.shape, call.target
        classes = int(shape[-1]) if len(shape) > 1 else 1
        if (path, call.source) not in self._announced:
            self._announced.add((path, call.source))
            payload = announcement(known, path, classes, call.source, is_weighted=call.is_weighted)
            payload["positions"] = positions_of_one_target(known, target, at.prediction)
            self._recorder.add_event(EventKind.LOSS_CALL, payload)
        output = add(
            tensor_site(path, Role.OUTPUT, name, at.prediction, call.source), at.prediction
        )
        of_target = None
        if target.ndim:
            site = tensor_site(path, Role.TARGET, name, target, call.source)
            of_target = add(site, target.reshape(len(target), -1) if target.ndim > 2 else target)
        value = f"loss_value:{path}"
        if call.value.ndim == 0:
            reads.append(Read(None, value, FlatPlan(1, 1), call.value))
        return GivenLoss(
            path,
            name,
            of_target,
            output,
            value,
            labels=known.labels or jnp.issubdtype(target.dtype, jnp.integer),
            ignored=known.ignored,
            by_class=known.by_class and not known.labels,
            classes=classes,
        )


def _mode(seen: Seen) -> tuple[RootCall | None, Sequence[Mode]]:
    modes = list(seen.modes.values())
    if not seen.roots:
        return None, modes
    return replace(seen.roots[0], inputs=[], output=None), modes


def inputs_of(batch: Any) -> list[tuple[str, Any]]:
    """The inputs of the model in a batch, under the names that its call gives them."""
    inputs = unpack_x_y_sample_weight(batch)[0]
    if isinstance(inputs, dict):
        named = [(f"input.{name}", value) for name, value in inputs.items()]
    elif isinstance(inputs, tuple | list):
        named = [(f"input.{number}", value) for number, value in enumerate(inputs)]
    else:
        named = [("input.0", inputs)]
    return [(name, value) for name, value in named if getattr(value, "ndim", 0)]


def is_data(tensor: Any) -> bool:
    """Whether it is numbers of examples, and no key of JAX for random ones."""
    return bool(getattr(tensor, "ndim", 0)) and not jnp.issubdtype(
        tensor.dtype, jax.dtypes.extended
    )


@contextmanager
def untouched() -> Iterator[None]:
    """While a program's functions are called once more: its random numbers and variables stay."""
    python, numpys = random.getstate(), np.random.get_state()
    try:
        with keras.StatelessScope():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpys)


def _shape(leaf: Any) -> tuple[tuple[int, ...], str]:
    return np.shape(leaf), str(jnp.result_type(leaf))
