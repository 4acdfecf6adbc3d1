"""Blocks of bare and of traced steps in one process, which follow each other: A B A B A.

A traced block is compared with the mean of the two bare ones around it, so that a drift of the
machine cancels. Processor time is hardly changed by other work on the machine.
"""

import importlib.util
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from types import ModuleType
from typing import NamedTuple

from overhead import PROGRAMS


class Times(NamedTuple):
    """Seconds by the clock, and seconds of processor time in all threads."""

    clock: float
    processor: float


def measured(run: Callable[[], object]) -> Times:
    """Return the time that a block takes."""
    clock, cpu = time.perf_counter(), time.process_time()
    run()
    return Times(time.perf_counter() - clock, time.process_time() - cpu)


def ratios(bare: list[Times], blocks: list[Times], field: int) -> list[float]:
    """Return the ratio of each traced block to the mean of the bare ones before and after it."""
    around = [(one[field] + other[field]) / 2 for one, other in pairwise(bare)]
    return [block[field] / base for block, base in zip(blocks, around, strict=True)]


def load(program: str) -> ModuleType:
    """Return one of the programs, loaded as a module."""
    sys.path.insert(0, str(PROGRAMS))
    spec = importlib.util.spec_from_file_location(program, PROGRAMS / f"{program}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
