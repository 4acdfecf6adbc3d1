"""Finds settings of optimizers that the program writes where nothing reads them.

`optimizer.lr = 1e-4` is one: Python takes the attribute, and the optimizer trains on at its rate.
A value that is in force when it is first met is a note of the program's own, and never told.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from nntrace.adapter.sources import UNKNOWN, Source
from nntrace.adapter.statements import assignments
from nntrace.recorder import Recorder
from nntrace.schema import EventKind


class VainSettings:
    """Tells the first of each optimizer's settings that was written in vain."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._settled: set[tuple[str, str, float | None]] = set()

    def look(
        self,
        optimizer: str,
        written: Mapping[str, Any],
        in_force: Mapping[str, Iterable[float]],
        near: Iterable[Source],
    ) -> None:
        """Compare what the program has written with what the optimizer goes by.

        Args:
            optimizer: its name in the trace.
            written: the values, by what was written (`lr`, `defaults['lr']`).
            in_force: of each of these the values that the optimizer has, began with or was given.
            near: lines in the files that may hold the statement.
        """
        for setting, value in written.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                continue
            known = (optimizer, setting, float(value))
            if known in self._settled or (optimizer, setting, None) in self._settled:
                continue
            self._settled.add(known)
            values = list(in_force[setting])
            # A float32 variable of Keras holds 0.1 only nearly.
            if values and not any(math.isclose(value, one, rel_tol=1e-6) for one in values):
                self._settled.add((optimizer, setting, None))
                found = next(assignments(setting, near), {})
                payload = {
                    "optimizer": optimizer,
                    "setting": setting,
                    "value": float(value),
                    "in_force": values[0],
                    **next(iter(found), UNKNOWN).place,
                }
                self._recorder.add_event(EventKind.VAIN_SETTING, payload, severity="warning")
