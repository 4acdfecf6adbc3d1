"""Runs a training step repeatedly and prints how long the run and its second half took."""

import argparse
import json
import time
from collections.abc import Callable


def measure(step: Callable[[], None], default_steps: int) -> None:
    """Run `--steps` steps; print seconds per step of the second half (steady) and of all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=default_steps)
    steps = parser.parse_args().steps
    began = time.perf_counter()
    for _ in range(steps // 2):
        step()
    started = time.perf_counter()
    for _ in range(steps - steps // 2):
        step()
    ended = time.perf_counter()
    steady = (ended - started) / (steps - steps // 2)
    print(json.dumps({"seconds_per_step": steady, "of_the_run": (ended - began) / steps}))
