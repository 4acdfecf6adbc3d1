"""Runs a training step repeatedly and prints how long the second half of the run took."""

import argparse
import json
import time
from collections.abc import Callable


def measure(step: Callable[[], None], default_steps: int) -> None:
    """Run `--steps` steps; print seconds per step over the second half, the steady state."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=default_steps)
    steps = parser.parse_args().steps
    for _ in range(steps // 2):
        step()
    started = time.perf_counter()
    for _ in range(steps - steps // 2):
        step()
    elapsed = time.perf_counter() - started
    print(json.dumps({"seconds_per_step": elapsed / (steps - steps // 2)}))
