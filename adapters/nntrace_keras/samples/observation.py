"""Decides what is sampled of an optimizer call: which tensors belong to which sites.

Runs where the optimizer is called: once per traced graph, or at each sampled eager step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from nntrace.recorder import Recorder
from nntrace.schema import Role
from nntrace_keras.data.batches import BatchFacts
from nntrace_keras.graphs.structure import Structure
from nntrace_keras.graphs.turns import Turns
from nntrace_keras.program.describe import is_batch_norm, unit_axis
from nntrace_keras.program.modes import Modes
from nntrace_keras.program.names import Names
from nntrace_keras.program.settings import weight_decay
from nntrace_keras.program.sources import UNKNOWN, Sources
from nntrace_keras.samples.capture import Capture
from nntrace_keras.samples.inside import add_inside
from nntrace_keras.samples.losses import LossReader
from nntrace_keras.samples.running_norms import has_learnt
from nntrace_keras.samples.sites import SiteKey, parameter_site
from nntrace_keras.samples.tensor_sites import activation_site, tensor_site
from nntrace_keras.samples.terms import named_calls, terms
from nntrace_keras.samples.unstepped import Unstepped
from nntrace_keras.tape.loss_paths import told_apart
from nntrace_keras.tape.under_tape import Gradient, LayerCall, RootCall, key


@dataclass(frozen=True, slots=True)
class Stepped:
    """A variable given to an optimizer, with its gradient, and the sites of their records."""

    variable: Any
    gradient: Any
    shape: tuple[int, ...]
    param: SiteKey
    param_gradient: SiteKey
    update: SiteKey


class Observer:
    """Turns calls under tapes into captures, and records each loss function once.

    Attributes:
        phase: `eval` if the last model seen was called in inference mode, else `train`.
        unstepped: the weights that no optimizer is given.
    """

    def __init__(self, recorder: Recorder, names: Names, sources: Sources) -> None:
        self._recorder = recorder
        self._names = names
        self._sources = sources
        self._structure = Structure(recorder, sources)
        self._losses = LossReader(recorder)
        self._modes = Modes(recorder)
        self.unstepped = Unstepped()
        self._roots: list[str] = []
        self._turns = Turns()
        self.phase = "train"

    def forward(self, capture: Capture, gradients: Sequence[Gradient]) -> BatchFacts:
        """Add inputs, activations and their gradients, targets and predictions to the capture."""
        first = next((g for g in gradients if g.calls.roots), None)
        if first is None:
            return BatchFacts()
        for root in first.calls.roots:
            self._names.learn(root.layer)
        self._note_modes(first)
        entered = self._inputs(capture, self._turns.choose(first.calls.roots))
        for call, gradient in first.activations:
            self._activation(capture, call, gradient)
        add_inside(capture, first, self._sources)
        self._structure.note_reuse(gradients)
        called = next((g.calls.losses for g in gradients if g.calls.losses), [])
        objective = self._structure.read(capture, gradients, named_calls(called))
        if called:
            given = self._losses.read(
                capture, told_apart(called, tf.convert_to_tensor), objective or ()
            )
        else:
            given = ()
            _add_output(capture, first.calls.roots[-1].output)
        return BatchFacts(entered, given, **terms(capture, called, objective))

    def stepped(
        self,
        optimizer: Any,
        name: str,
        pairs: Sequence[tuple[Any, Any]],
        gradients: Sequence[Gradient],
    ) -> tuple[list[Stepped], list[Stepped]]:
        """The variables given to the optimizer, and other trainable ones of the same models."""
        mine = [
            self._stepped(
                name, n, v, g, {"optimizer": name, "weight_decay": weight_decay(optimizer, v)}
            )
            for n, (g, v) in enumerate(pairs)
        ]
        others = _others({key(variable) for _, variable in pairs}, gradients)
        rest = [
            self._stepped(name, len(pairs) + n, v, g, {}, asked=asked)
            for n, (g, v, asked) in enumerate(others)
        ]
        return mine, rest

    def waiting(
        self,
        name: str,
        mine: Sequence[Stepped],
        rest: Sequence[Stepped],
        gradients: Sequence[Gradient],
    ) -> list[Stepped]:
        """The models' weights that the step does not change and that have not been read yet.

        They are not marked as read here: a graph that is built need not be the one that runs.
        """
        for call in (call for gradient in gradients for call in gradient.calls.layers):
            self._names.learn(call.layer)  # a part that its model may not know
        stepped, others = ([one.variable for one in some] for some in (mine, rest))
        return [
            self._stepped(name, n, variable, None, {}, trained=bool(variable.trainable))
            for n, variable in enumerate(self.unstepped.found(stepped, others, gradients))
        ]

    def order(self, capture: Capture, stepped: Sequence[Stepped]) -> list[SiteKey]:
        """All sites in the order in which the program reaches them: a layer's parameters first."""
        by_parent: dict[str, list[Stepped]] = {}
        for one in stepped:
            by_parent.setdefault(one.param.parent, []).append(one)
        found: list[SiteKey] = []
        for site in capture.sites:
            if site.role is Role.ACTIVATION:
                for one in by_parent.pop(site.path, ()):
                    found += [one.param, one.param_gradient]
            if site.role not in (Role.PARAM, Role.PARAM_GRAD):
                found.append(site)
        for rest in by_parent.values():
            for one in rest:
                found += [one.param, one.param_gradient]
        return found

    def _stepped(
        self,
        optimizer: str,
        number: int,
        variable: Any,
        gradient: Any,
        facts: dict[str, Any],
        *,
        trained: bool = True,
        asked: bool = False,
    ) -> Stepped:
        path, parent, owner = self._names.variable(variable, optimizer, number)
        shape = tuple(int(size) for size in variable.shape)
        source = self._sources.of(owner) if owner is not None else UNKNOWN

        def site(role: Role) -> SiteKey:
            own = {"requires_grad": trained} if role is Role.PARAM else {}
            if asked and role is Role.PARAM_GRAD:  # the program computes it, without a step
                own = {"requires_grad": True}
            return parameter_site(
                path, role, variable, owner, source, parent=parent, facts={**facts, **own}
            )

        roles = (Role.PARAM, Role.PARAM_GRAD, Role.UPDATE)
        return Stepped(variable, gradient, shape, *map(site, roles))

    def _inputs(self, capture: Capture, root: RootCall) -> SiteKey | None:
        entered: list[tuple[SiteKey, Any]] = []
        for name, value in root.inputs:
            tensor = tf.convert_to_tensor(value)
            if not tensor.shape.rank or not _is_real(tensor):
                continue
            prefix = self._prefix(root)
            site = tensor_site(f"{prefix}{name}", Role.INPUT, "input", tensor, UNKNOWN)
            capture.add_examples(site, tensor)
            capture.keepsakes.add(site, tensor)
            entered.append((site, tensor))
        if not entered:
            return None
        first = next((e for e in entered if e[1].dtype.is_floating), entered[0])
        for number, (_, tensor) in enumerate([first, *(e for e in entered if e is not first)]):
            capture.add_hashes(number, tensor)
        return first[0]

    def prefix_of(self, model: Any) -> str:
        """The name of a model in the trace: empty for the first one trained, and before that."""
        path = self._names.layer(model)
        return "" if not self._roots or path == self._roots[0] else path

    def trained_prefix_of(self, model: Any) -> str | None:
        """The name of a model in the trace if it has been trained, else None."""
        if not self._roots or self._names.layer(model) not in self._roots:
            return None
        return self.prefix_of(model)

    def _prefix(self, root: RootCall) -> str:
        """The prefix of a model's inputs: empty for the first model, else its path."""
        path = self._names.layer(root.layer)
        if path not in self._roots:
            self._roots.append(path)
        return "" if path == self._roots[0] else f"{path}/"

    def _activation(self, capture: Capture, call: LayerCall, gradient: Any) -> None:
        layer, tensor = call.layer, call.output
        axis = unit_axis(layer)
        for role, value in ((Role.ACTIVATION, tensor), (Role.ACTIVATION_GRAD, gradient)):
            if value is None:
                continue
            site = activation_site(call, role, self._sources.of(layer))
            is_gradient = role is Role.ACTIVATION_GRAD
            capture.add_examples(site, value, axis, shape=tensor.shape, staggered=is_gradient)

    def _note_modes(self, gradient: Gradient) -> None:
        """Record the mode in which layers were called that behave differently in training.

        The modes of a model whose gradients are not asked for (a teacher) say nothing of that.
        """
        roots = gradient.calls.roots
        self._prefix(roots[0])  # the first one that is called has none, whichever is trained
        asked = {key(source) for source in gradient.sources if _is_variable(source)}
        trained = [r for r in roots if not asked.isdisjoint(map(key, r.layer.trainable_variables))]
        root = (trained or roots)[0]
        # Compared as objects: calls of one model differ by their tensors, which do not compare.
        learning = {id(r.layer) for r in trained or roots}
        helpers = [r.layer for r in roots if id(r.layer) not in learning]
        left_out = {id(layer) for helper in helpers for layer in helper._flatten_layers()}
        training = self._modes.note(
            self._prefix(root).rstrip("/"),
            root,
            [mode for layer, mode in gradient.calls.modes.items() if layer not in left_out],
            lambda: _trained_norms(root.layer, gradient),
        )
        self.phase = "train" if training else "eval"


def _others(held: set[int], gradients: Sequence[Gradient]) -> list[tuple[Any, Any, bool]]:
    """Trainable variables that the optimizer was not given, though gradients were asked for, or
    though it was given others of their model.

    Args:
        held: the keys of those that it was given.
        gradients: what the tapes were asked for.

    Returns:
        The gradient, if there is one, the variable, and whether the program has asked for it.
    """
    others: dict[int, tuple[Any, Any, bool]] = {}
    for gradient in gradients:
        for source, value in zip(gradient.sources, gradient.source_gradients, strict=True):
            if _is_variable(source):
                others.setdefault(key(source), (value, source, True))
        for root in gradient.calls.roots:
            owned = root.layer.trainable_variables
            if not held.isdisjoint(map(key, owned)):
                for variable in owned:
                    others.setdefault(key(variable), (None, variable, False))
    return [other for number, other in others.items() if number not in held]


def _trained_norms(model: Any, gradient: Gradient) -> int:
    """How many batch norms started with running statistics from earlier batches."""
    called = {id(call.layer): call.statistics.are_trained for call in gradient.calls.norms}
    norms = [layer for layer in model._flatten_layers() if is_batch_norm(layer)]
    return sum(called[id(n)] if id(n) in called else has_learnt(n) for n in norms)


def _add_output(capture: Capture, output: Any) -> None:
    """Sample a model's output that no known loss function takes."""
    if output is not None and output.shape.rank and output.dtype.is_floating:
        capture.add_examples(tensor_site("", Role.OUTPUT, "", output, UNKNOWN), output)


def _is_real(tensor: Any) -> bool:
    return bool(tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool)


def _is_variable(value: Any) -> bool:
    return hasattr(value, "assign") and hasattr(value, "shape")
