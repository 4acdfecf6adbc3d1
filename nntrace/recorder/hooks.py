"""`Hooks`: what adapters have put into the program, and the moments they want to be told of.

Taking hooks off never fails: what cannot be undone is said, and all others come off.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nntrace.notices import say


@dataclass(frozen=True, slots=True)
class ForeignLoss:
    """A call of a loss function of one framework (Keras) on the tensors of another (PyTorch).

    Attributes:
        function: the name under which it is recorded.
        by_class: whether the last axis of the predictions is classes.
        payload: of its `loss_call` event.
    """

    function: str
    value: Any
    prediction: Any
    target: Any
    by_class: bool
    payload: dict[str, Any]


class Hooks:
    """Those of one process.

    Attributes:
        are_on: whether there are any to take off.
        in_foreign_loss: whether a loss function runs that will be told of by `loss_called`.
    """

    def __init__(self) -> None:
        self.are_on = self.in_foreign_loss = False
        self._undos: list[Callable[[], None]] = []
        self._looks: list[Callable[[BaseException], object]] = []
        self._ends: list[Callable[[], object]] = []
        self._latecomers: list[Callable[[], object]] = []
        self._listeners: list[Callable[[ForeignLoss], object]] = []
        self._origin_listeners: list[Callable[[dict[str, Any], int], object]] = []

    def add(self, undo: Callable[[], None]) -> None:
        """Hooks were put on; `undo` takes them off."""
        self._undos.append(undo)
        self.are_on = True

    def take_off(self) -> None:
        """Undo everything, the last first; again where something may have stayed."""
        self.are_on = False
        for undo in reversed(self._undos):
            try:
                undo()
            except Exception as error:
                say(f"a hook did not come off: {error}.")

    def forget(self) -> None:
        """They are off for good: nothing of theirs is kept alive."""
        for registered in (self._undos, self._looks, self._ends, self._latecomers):
            registered.clear()
        self._listeners.clear()
        self._origin_listeners.clear()

    def on_error(self, look: Callable[[BaseException], object]) -> None:
        """Have a look taken at the error that ends the program, before the hooks come off."""
        self._looks.append(look)

    def on_end(self, finish: Callable[[], object]) -> None:
        """Have what is under way finished at the end of the program, before the hooks come off."""
        self._ends.append(finish)

    def on_origin(self, hear: Callable[[dict[str, Any], int], object]) -> None:
        """Be told where a non-finite value was born, as it is recorded: its payload, its step."""
        self._origin_listeners.append(hear)

    def origin_found(self, payload: dict[str, Any], step: int) -> None:
        """An `origin` event is being recorded."""
        for hear in self._origin_listeners:
            hear(payload, step)

    def on_loss(self, hear: Callable[[ForeignLoss], object]) -> None:
        """Be told of loss functions of a framework that is built on one's own."""
        self._listeners.append(hear)

    def loss_called(self, loss: ForeignLoss) -> None:
        """A loss function was called whose tensors are those of the framework below."""
        for hear in self._listeners:
            hear(loss)

    def on_catching_up(self, record: Callable[[], object]) -> None:
        """Have what an adapter has put off recorded before anything else is."""
        self._latecomers.append(record)

    def catch_up(self) -> None:
        """Record what was put off: the recorder's `steps` is then what the program has made."""
        for record in self._latecomers:
            record()

    def ended_by(self, error: BaseException) -> None:
        """The program has ended with an error."""
        self.catch_up()
        for look in self._looks:
            look(error)

    def ended(self) -> None:
        """The program is over, however it ended."""
        self.catch_up()
        for finish in self._ends:
            finish()
