"""`Hooks`: what adapters have put into the program, and the moments they want to be told of.

Taking hooks off never fails: what cannot be undone is said, and all others come off.
"""

from collections.abc import Callable

from nntrace.notices import say


class Hooks:
    """Those of one process.

    Attributes:
        are_on: whether there are any to take off.
    """

    def __init__(self) -> None:
        self.are_on = False
        self._undos: list[Callable[[], None]] = []
        self._looks: list[Callable[[BaseException], object]] = []
        self._ends: list[Callable[[], object]] = []
        self._latecomers: list[Callable[[], object]] = []

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

    def on_error(self, look: Callable[[BaseException], object]) -> None:
        """Have a look taken at the error that ends the program, before the hooks come off."""
        self._looks.append(look)

    def on_end(self, finish: Callable[[], object]) -> None:
        """Have what is under way finished at the end of the program, before the hooks come off."""
        self._ends.append(finish)

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
