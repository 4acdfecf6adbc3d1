"""One call of an optimizer: what is read before it and what after it.

The true update Δw is the difference of the same elements after and before the call.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import ops

from nntrace.recorder import SiteSample
from nntrace_keras.data.batches import BatchFacts
from nntrace_keras.graphs.apart import apart
from nntrace_keras.graphs.board import MAX_GRAPHS, UNKNOWN, Board, Row
from nntrace_keras.graphs.forwards import Forward, forward_in
from nntrace_keras.graphs.returned import ReturnedLoss, await_results, may_be_returned
from nntrace_keras.graphs.second import Second, elements
from nntrace_keras.program.optimizers import (
    always_steps,
    as_received,
    ends_accumulation,
    iterations,
    learning_rate,
    loss_scale,
)
from nntrace_keras.program.settings import accumulation_steps
from nntrace_keras.samples.capture import Capture
from nntrace_keras.samples.elements import flat_plan
from nntrace_keras.samples.keepsakes import Keepsakes
from nntrace_keras.samples.layouts import Found, Layouts, Values
from nntrace_keras.samples.observation import Observer, Stepped
from nntrace_keras.samples.sites import SiteKey
from nntrace_keras.samples.unstepped import Unstepped
from nntrace_keras.tape.clipping import add_norms
from nntrace_keras.tape.under_tape import Gradient, Span, key


class Applied(NamedTuple):
    """A call of an optimizer that is about to be made.

    Attributes:
        name: the optimizer's, in the trace.
        pairs: the gradients that it is given, with their variables.
        gradients: those that tapes computed for these variables.
        is_first: whether no batch of the run was kept yet, so that this one's is.
    """

    optimizer: Any
    name: str
    pairs: Sequence[tuple[Any, Any]]
    gradients: Sequence[Gradient]
    is_first: bool


class Delivery(NamedTuple):
    """The sampled elements of one call, on the host, with those of the updates last.

    `turn` is the turn at which they were read.
    """

    vector: Values
    turn: int


@dataclass(slots=True)
class Step:
    """What is known of an optimizer call's samples: made once per graph, or per eager call.

    Attributes:
        order: its sites in the order in which the program reaches them.
        calls_per_step: how many calls of the optimizer make one step.
        second: in a graph, the computation that samples the step; None if it is never sampled.
        waiting: weights that the step does not change, until they are read.
        unstepped: decides when those are read.
        returned: in a graph, the loss that may be found in the function's results.
        keepsakes: the batch of the first sample, until it is recorded.
        spans: in a graph, the calls of its layers.
        losses: in a graph, the tensors that are differentiated.
        forward: in a graph, the call of its only model.
    """

    optimizer: str
    facts: BatchFacts = field(default_factory=BatchFacts)
    layouts: Layouts = field(default_factory=lambda: Layouts((), ()))
    updates: list[Stepped] = field(default_factory=list)
    waiting: list[Stepped] = field(default_factory=list)
    unstepped: Unstepped = field(default_factory=Unstepped)
    order: list[SiteKey] = field(default_factory=list)
    calls_per_step: int = 1
    second: Second | None = None
    returned: ReturnedLoss | None = None
    keepsakes: Keepsakes | None = None
    spans: Sequence[Span] = ()
    losses: Sequence[Any] = ()
    forward: Forward | None = None

    @property
    def before(self) -> int:
        """The offset of the updated variables' elements, which follow one another in the vector."""
        params = [stepped.param for stepped in self.updates[:1]]
        return next((p.offset for p in self.layouts.parts if p.site in params), 0)

    def changes(self, vector: Values) -> Values:
        """How the variables have changed since the vector was read."""
        after: Values = elements(self.updates).numpy()
        with np.errstate(invalid="ignore", over="ignore"):  # weights may be infinite
            return after - vector[self.before : self.before + len(after)]

    def delivery(self, vector: Values, turn: int) -> Delivery:
        """The elements read before the call, followed by the variables' changes since then."""
        return Delivery(np.concatenate([vector, self.changes(vector)]), turn)

    def find(self, delivery: Delivery) -> Found:
        """Take the samples apart, those of the updates included."""
        found = self.layouts.find(delivery.vector, delivery.turn)
        offset = self.layouts.end
        for stepped in self.updates:
            layout = flat_plan(stepped.shape).layout
            found.sites.append((stepped.update, SiteSample(-1, offset, layout)))
            offset += layout.size
        self._read_waiting(found)
        return found

    def _read_waiting(self, found: Found) -> None:
        if not self.waiting:
            return
        due = self.unstepped.due([one.variable for one in self.waiting])
        read = [one for one in self.waiting if key(one.variable) in due]
        self.waiting = [one for one in self.waiting if self.unstepped.is_unread(one.variable)]
        if not read:
            return
        offset = len(found.values)
        found.values = np.concatenate([found.values, elements(read).numpy()])
        for stepped in read:
            layout = flat_plan(stepped.shape).layout
            found.sites.append((stepped.param, SiteSample(-1, offset, layout)))
            offset += layout.size


def prepare(observer: Observer, call: Applied) -> tuple[Step, Capture]:
    """Decide what to sample of a call."""
    optimizer, name, pairs, gradients, _ = call
    step = Step(name, calls_per_step=accumulation_steps(optimizer))
    capture = Capture()
    step.facts = observer.forward(capture, gradients)
    mine, rest = observer.stepped(optimizer, name, pairs, gradients)
    for stepped in (*mine, *rest):
        capture.add_parameter(stepped.param, stepped.variable, stepped.shape)
    for stepped in (*mine, *rest):
        received = partial(as_received, optimizer, stepped.variable)
        capture.add_gradient(stepped.param_gradient, stepped.gradient, stepped.shape, received)
    add_norms(capture, optimizer, pairs)
    step.updates = mine
    step.waiting = observer.waiting(name, mine, rest, gradients)
    step.unstepped = observer.unstepped
    step.order = observer.order(capture, (*mine, *rest))
    return step, capture


def loss_and_examples(gradients: Sequence[Gradient]) -> tuple[float | None, int | None]:
    """The loss of a step, the sum of what was differentiated, and the size of its batch.

    Several tapes are the micro-batches of one step; each counts the input of its first model.
    """
    losses = [float(tf.reduce_sum(target)) for g in gradients for target in g.targets]
    examples = 0
    for calls in {id(g.calls): g.calls for g in gradients}.values():
        inputs = next((root.inputs for root in calls.roots if root.inputs), None)
        if inputs and len(inputs[0][1].shape):
            examples += int(inputs[0][1].shape[0])
    return sum(losses) if losses else None, examples or None


class EagerCall:
    """A call outside any graph; `turn` is None if it is not sampled."""

    def __init__(self, observer: Observer, call: Applied, turn: int | None) -> None:
        self._optimizer = optimizer = call.optimizer
        self.delivery: Delivery | None = None
        self._always = always_steps(optimizer)
        counts = not self._always and optimizer.built
        self._iterations = int(iterations(optimizer)) if counts else 0
        rate = learning_rate(optimizer)
        self._lr = None if rate is None else float(rate)
        scale = loss_scale(optimizer)
        self._scale = None if scale is None else float(tf.convert_to_tensor(scale))
        self.loss, self._batch = loss_and_examples(call.gradients)
        if turn is None or not ends_accumulation(optimizer):
            self.step = Step(call.name, calls_per_step=accumulation_steps(optimizer))
            self._vector = None
            return
        self.step, capture = prepare(observer, call)
        self._turn = turn
        self._vector = capture.pack(lambda tensor: tensor, turn).numpy()
        kept = capture.keepsakes
        if call.is_first and kept.size:
            kept.vector = kept.pack()
            self.step.keepsakes = kept.finish()
        self.step.layouts = capture.layouts()

    def end(self) -> Row:
        """Return the row of a call that has returned, and make its delivery if it is sampled."""
        applied = self._always or int(iterations(self._optimizer)) > self._iterations
        if self._vector is not None:
            self.delivery = self.step.delivery(self._vector, self._turn)
        return Row(0, 0, 0, applied, self.loss, self._lr, self._batch, self._scale)


class GraphCall:
    """A call while a graph is being traced: adds our operations before and after it.

    A call that `is_repeated`, after another one of the same optimizer in the graph, is never
    sampled: it starts from what all those before have computed.
    """

    def __init__(
        self, observer: Observer, board: Board, number: int, call: Applied, *, is_repeated: bool
    ) -> None:
        self._optimizer = optimizer = call.optimizer
        self._board = board
        self._number = number
        self._graph: Any = ops.get_default_graph()
        self._state = board.read()
        self._sampled: Any = tf.constant(False)
        is_sampled = number < MAX_GRAPHS and not is_repeated
        if is_sampled:
            wanted = Board.wants(self._state, number)
            self._sampled = tf.logical_and(wanted, ends_accumulation(optimizer))
        self.step = Step(call.name, calls_per_step=accumulation_steps(optimizer))
        capture = Capture()
        if is_sampled:
            self.step, capture = prepare(observer, call)
        self._targets: list[Any] = []
        self._facts = self._plain_facts(call.gradients)
        self._always = always_steps(optimizer)
        self._iterations = None
        if not self._always and optimizer.built:
            self._iterations = tf.identity(iterations(optimizer))
        if not is_sampled:
            return
        if not call.is_first:
            capture.keepsakes.clear()
        capture.bring_into(self._graph)
        begin = len(self._graph.get_operations())
        self.step.second = Second(self._graph, capture, self.step.updates, begin)
        is_inside = bool(getattr(self._graph.outer_graph, "building_function", False))
        self.step.second.keep_drawn(
            self._sampled, partial(Board.is_whole, self._state), inputs=is_inside
        )
        self.step.keepsakes = capture.keepsakes
        self.step.spans = [span for gradient in call.gradients for span in gradient.calls.spans]
        self.step.losses = [target for gradient in call.gradients for target in gradient.targets]
        self.step.forward = forward_in(self._graph, call.gradients)

    def end(self) -> None:
        """Write the row of the call, and see that its loss is read or written later."""
        if self.step.second is not None:
            self.step.second.end = len(self._graph.get_operations())
        applied: Any = tf.constant(True)
        if not self._always:
            start = 0 if self._iterations is None else self._iterations
            applied = iterations(self._optimizer) > start
        place = self._board.add_row(
            self._state, self._number, self._sampled, applied=applied, **self._facts
        )
        if self._targets:

            def write() -> None:
                self._board.add_loss(place, _sum(targets))

            targets = self._targets
            self.step.returned = ReturnedLoss(targets, write)
            await_results(self.step.returned)

    def _plain_facts(self, gradients: Sequence[Gradient]) -> dict[str, Any]:
        rate = learning_rate(self._optimizer)
        scale = loss_scale(self._optimizer)
        targets = [target for gradient in gradients for target in gradient.targets]
        inputs = next((r.inputs for g in gradients for r in g.calls.roots if r.inputs), None)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        loss: Any = UNKNOWN
        if may_be_returned(targets):
            self._targets = targets
        elif targets:
            loss = _sum(targets) * replicas
        batch: Any = UNKNOWN
        if inputs and tf.TensorShape(inputs[0][1].shape).rank:
            batch = tf.shape(inputs[0][1])[0] * replicas
        return {
            "loss": loss,
            "lr": UNKNOWN if rate is None else rate,
            "batch_size": batch,
            "loss_scale": UNKNOWN if scale is None else tf.convert_to_tensor(scale),
        }


def _sum(targets: Sequence[Any]) -> Any:
    return tf.add_n([tf.cast(tf.reduce_sum(apart(target)), tf.float64) for target in targets])
