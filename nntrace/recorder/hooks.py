"""`Hooks`: the hooks adapters have put into the program, and the callbacks they registered.

Taking hooks off never fails: a hook that does not come off is reported, and all others come off.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nntrace.notices import say


@dataclass(frozen=True, slots=True)
class ForeignLoss:
    """A call of a loss function of one framework (Keras) on the tensors of another (PyTorch).

    Attributes:
        function: the name under which the call is recorded.
        by_class: whether the last axis of the predictions is classes.
        payload: the payload of the `loss_call` event.
    """

    function: str
    value: Any
    prediction: Any
    target: Any
    by_class: bool
    payload: dict[str, Any]


class Hooks:
    """The hooks of one process and the callbacks of its adapters.

    Attributes:
        are_on: whether there are hooks to take off.
        in_foreign_loss: whether a loss function is running that `loss_called` will report.
        has_foreign_optimizer: whether there is an optimizer of a framework that is built on the
            adapter's own, which has perhaps not been given its parameters yet.
    """

    def __init__(self) -> None:
        self.are_on = self.in_foreign_loss = self.has_foreign_optimizer = False
        self._undos: list[Callable[[], None]] = []
        self._error_listeners: list[Callable[[BaseException], object]] = []
        self._end_listeners: list[Callable[[], object]] = []
        self._postponed: list[Callable[[], object]] = []
        self._loss_listeners: list[Callable[[ForeignLoss], object]] = []
        self._origin_listeners: list[Callable[[dict[str, Any], int], object]] = []
        self._clipping_listeners: list[Callable[[Any, Any], object]] = []
        self._gathering_listeners: list[Callable[[], object]] = []
        self._scale_listeners: list[tuple[Callable[..., object], Callable[[Any], object]]] = []

    def add(self, undo: Callable[[], None]) -> None:
        """Register `undo`, which takes off hooks that were put on."""
        self._undos.append(undo)
        self.are_on = True

    def take_off(self) -> None:
        """Undo everything, the last first; a later call tries everything again."""
        self.are_on = False
        for undo in reversed(self._undos):
            try:
                undo()
            except Exception as error:
                say(f"a hook did not come off: {error}.")

    def forget(self) -> None:
        """Release everything registered: the hooks are off for good."""
        registered: tuple[list[Any], ...] = (
            self._undos,
            self._error_listeners,
            self._end_listeners,
            self._postponed,
            self._loss_listeners,
            self._origin_listeners,
            self._clipping_listeners,
            self._gathering_listeners,
            self._scale_listeners,
        )
        for functions in registered:
            functions.clear()

    def on_error(self, look: Callable[[BaseException], object]) -> None:
        """Call `look` with the error that ends the program, before the hooks come off."""
        self._error_listeners.append(look)

    def on_end(self, finish: Callable[[], object]) -> None:
        """Call `finish` at the end of the program, before the hooks come off."""
        self._end_listeners.append(finish)

    def on_origin(self, hear: Callable[[dict[str, Any], int], object]) -> None:
        """Call `hear` with payload and step whenever an origin of a non-finite value is found."""
        self._origin_listeners.append(hear)

    def origin_found(self, payload: dict[str, Any], step: int) -> None:
        """Report that an `origin` event is being recorded."""
        for hear in self._origin_listeners:
            hear(payload, step)

    def on_loss(self, hear: Callable[[ForeignLoss], object]) -> None:
        """Call `hear` at each loss call of a framework that is built on the adapter's own."""
        self._loss_listeners.append(hear)

    def loss_called(self, loss: ForeignLoss) -> None:
        """Report a call of a loss function whose tensors belong to the framework below."""
        for hear in self._loss_listeners:
            hear(loss)

    def on_loss_scaling(
        self, scaled: Callable[[Any, Any, Any], object], skipped: Callable[[Any], object]
    ) -> None:
        """Call `scaled` and `skipped` where a framework built on the adapter's own scales losses.

        Args:
            scaled: called with the scaled loss, what scales it and the loss.
            skipped: called with an optimizer that was left out as gradients were not finite.
        """
        self._scale_listeners.append((scaled, skipped))

    def loss_scaled(self, scaled: Any, scaler: Any, loss: Any) -> None:
        """Report that a loss was scaled; the scaler has what PyTorch's `GradScaler` has."""
        for hear, _ in self._scale_listeners:
            hear(scaled, scaler, loss)

    def step_skipped(self, optimizer: Any) -> None:
        """Report that an optimizer was not called, as scaled gradients were not finite."""
        for _, hear in self._scale_listeners:
            hear(optimizer)

    def on_clipping(self, hear: Callable[[Any, Any], object]) -> None:
        """Call `hear` with gradients before and after an optimizer of another framework clips."""
        self._clipping_listeners.append(hear)

    def clipped(self, given: Any, left: Any) -> None:
        """Report lists of gradients before and after clipping."""
        for hear in self._clipping_listeners:
            hear(given, left)

    def on_gathering(self, hear: Callable[[], object]) -> None:
        """Call `hear` when an optimizer of another framework keeps gradients for a later step."""
        self._gathering_listeners.append(hear)

    def gathered(self) -> None:
        """Report that gradients were kept, whose mean over several calls a later step applies."""
        for hear in self._gathering_listeners:
            hear()

    def on_catching_up(self, record: Callable[[], object]) -> None:
        """Call `record`, which records what an adapter has postponed, before other records."""
        self._postponed.append(record)

    def catch_up(self) -> None:
        """Record what was postponed: the recorder's `steps` is then up to date."""
        for record in self._postponed:
            record()

    def ended_by(self, error: BaseException) -> None:
        """Report that the program has ended with an error."""
        self.catch_up()
        for look in self._error_listeners:
            look(error)

    def ended(self) -> None:
        """Report that the program is over, however it ended."""
        self.catch_up()
        for finish in self._end_listeners:
            finish()
