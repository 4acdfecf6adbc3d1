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


def optimizer(step=0, built=1, **values):
    """The event of an optimizer, by default the first Adam."""
    usual = {"name": "Adam", "class": "Adam", "stateful": True, "lr": 0.1, "weight_decay": 0.0}
    return event("optimizer", step, **{**usual, "built": built, "decoupled": False, **values})
