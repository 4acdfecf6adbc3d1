"""Layers of unit scale, for the tests of rules on the level of outputs and on constant ones."""

import numpy as np
from rules.builders import site, trace_of

WIDTH = 32
STEPS = 20
FALLING = list(np.geomspace(1, 0.01, STEPS))


def layer(path, kind="Linear", **stats):
    owner = {"module_type": kind, "parent": path, "shape": [WIDTH, WIDTH], "numel": WIDTH * WIDTH}
    stats = {"std": 1.0, "rms": 1.0, "example_std": 1.0, "mean": 0.0, "min": -2.0} | stats
    return [
        site(f"{path}.weight", "param", rms=0.1, fan_in=WIDTH, fan_out=WIDTH, **owner),
        site(path, "activation", module_type=kind, shape=[8, WIDTH], **stats),
    ]


def module(path, kind, **stats):
    return [site(path, "activation", module_type=kind, shape=[8, WIDTH], **stats)]


def trace(*layers, loss=1.0, **columns):
    sites = [row for rows in layers for row in rows]
    return trace_of(steps=STEPS, loss=loss, sites=sites, **columns)


INPUT = [site("input.0", "input", std=1.0, example_std=1.0, shape=[8, WIDTH])]
