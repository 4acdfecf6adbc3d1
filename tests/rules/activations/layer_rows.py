"""Layers with the statistics of their outputs, for the tests of rules on activations."""

from rules.builders import site, trace_of

UNITS = 32


def layer(path, kind="Linear", *, steps=20, fans=(UNITS, UNITS), **values):
    """A module with a weight: its parameter and its activation."""
    owner = {"module_type": kind, "parent": path, "shape": [fans[1], fans[0]], "numel": 1024}
    parameter = site(f"{path}.weight", "param", rms=0.1, fan_in=fans[0], fan_out=fans[1], **owner)
    return [parameter, plain(path, kind, **values)]


def plain(path, kind="ReLU", *, shape=(64, UNITS), **values):
    """A module without parameters; `scale` sets its std, rms and example_std."""
    if "scale" in values:
        scale = values.pop("scale")
        values |= {"std": scale, "rms": scale, "example_std": scale}
    return site(path, "activation", module_type=kind, shape=list(shape), **values)


def trace(*rows, steps=20, **columns):
    flat = [row for entry in rows for row in (entry if isinstance(entry, list) else [entry])]
    return trace_of(steps=steps, sites=flat, **columns)


def dead(fraction, *, path="r", kind="ReLU", **values):
    return plain(path, kind, min=0.0, zero_fraction=0.6, dead_fraction=fraction, **values)


def bounded(saturated, *, path="t", kind="Tanh", low=-1.0, **values):
    values = {"rms": 0.9, **values}
    return plain(path, kind, range_low=low, range_high=1.0, saturated_fraction=saturated, **values)
