"""Parameters with their gradients, updates and optimizers, for the tests of rules on updates."""

import numpy as np
from rules.builders import event, site, trace_of

STEPS = 40
STUCK = [2.3] * STEPS


def parameter(path, *, size=1.0, update=1e-3, gradient=0.1, n=4096, shape=(64, 64), kind="Linear"):
    """A parameter with its gradient and, unless None, its update; values may be series."""
    owner = {
        "shape": list(shape),
        "numel": int(np.prod(shape)),
        "parent": path.rpartition(".")[0],
        "module_type": kind,
    }
    rows = [
        site(path, "param", rms=size, **owner),
        site(path, "param_grad", rms=gradient, n=n, **owner),
    ]
    return rows if update is None else [*rows, site(path, "update", rms=update, n=n, **owner)]


def trace(*parameters, loss=STUCK, **columns):
    columns = {"steps": STEPS, **columns}
    return trace_of(loss=loss, sites=[row for rows in parameters for row in rows], **columns)


def judged(*, trainable, spread=1.0, bias=0.0, order=("gen", "judge"), small=False, copied=False):
    """A trained layer and one that no optimizer holds, in the `order` in which they are called."""
    shape = [4, 8] if small else [64, 64]
    fans = {"fan_in": shape[0], "fan_out": shape[1]}
    numel = int(np.prod(shape))
    std = spread * (2 / sum(shape)) ** 0.5
    held = {"parent": "judge", "module_type": "Dense", "requires_grad": trainable}
    trained = parameter("gen/kernel", shape=shape if copied else (16, 64), kind="Dense")
    for row in trained:
        row |= {"parent": "gen"}
    edges = [event("graph", vertices=[*order], edges=[[0, 1]])]
    rows = [
        *(site(path, "activation", std=1.0) for path in order),
        *(site(path, "activation_grad", rms=0.1) for path in order),
        site("judge/kernel", "param", shape=shape, numel=numel, std=std, kurtosis=-1.2, rms=std,
             n=numel, **fans, **held),
        site("judge/bias", "param", shape=[shape[1]], numel=shape[1], rms=bias, n=8, **held),
        *trained,
    ]  # fmt: skip
    return trace_of(loss=STUCK, sites=rows, steps=STEPS, events=edges)


def optimizer(step=0, built=1, **values):
    """The event of an optimizer, by default the first Adam."""
    usual = {"name": "Adam", "class": "Adam", "stateful": True, "lr": 0.1, "weight_decay": 0.0}
    return event("optimizer", step, **{**usual, "built": built, "decoupled": False, **values})
