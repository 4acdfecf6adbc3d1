"""Keeps what is found at each of a few sampled steps: a state that lasts, not one in passing."""

from collections.abc import Callable, Mapping

from nntrace.recorder import is_landmark

_LOOKS = 6  # in as many sampled steps


class Lasting:
    """Keeps what was the same at all of the last looks.

    While nothing is found looks are rare: in nearly every program there is never anything.
    """

    def __init__(self) -> None:
        self._steps = self._looks = 0
        self._marks: Mapping[str, object] = {}

    def look(self, marks_now: Callable[[], Mapping[str, object]]) -> set[str]:
        """The paths that had the same mark at all looks; empty before the last look.

        Args:
            marks_now: called at each look, returns what is there: its path, and a mark that tells
                it from anything else.
        """
        self._steps += 1
        # The step after each, too: those of two optimizers in turn are even and odd.
        is_due = is_landmark if self._marks else _is_seldom
        if self._looks == _LOOKS or not (is_due(self._steps) or is_due(self._steps - 1)):
            return set()
        now = marks_now()
        still = {path: mark for path, mark in now.items() if self._marks.get(path) == mark}
        self._looks, self._marks = (self._looks + 1, still) if still else (bool(now), now)
        return set(still) if self._looks == _LOOKS else set()


def _is_seldom(number: int) -> bool:
    """Powers of two, and multiples of 16: a model may be built when many steps were sampled."""
    return number & (number - 1) == 0 or number % 16 == 0
