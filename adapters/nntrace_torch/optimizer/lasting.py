"""What is the same at each of a few sampled steps: it was not changed, or not left, in between."""

from collections.abc import Callable, Mapping

from nntrace.recorder import is_landmark

_LOOKS = 6  # sampled steps at which it is looked


class Lasting:
    """Keeps what was found alike at all of the last sampled steps at which it was looked.

    While there is nothing it is looked rarely, as in nearly every program there never is.
    """

    def __init__(self) -> None:
        self._steps = self._looks = 0
        self._marks: Mapping[str, object] = {}

    def look(self, marks_now: Callable[[], Mapping[str, object]]) -> set[str]:
        """The paths that had the same mark at all looks; empty but at the last one.

        Args:
            marks_now: called at the steps at which it is looked, gives what there is by its path,
                and what tells it from another.
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
