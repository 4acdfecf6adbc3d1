"""Trains in loops of its own on JAX while something in nntrace breaks, or something in itself.

Its argument is the folder of the runs. Prints for each place that breaks whether it was reached,
whether losses and weights are the same to the last bit, how often the loss function was called
more than without nntrace, and how often the end of tracing was told; and for each error of the
program's own whether it is raised without nntrace, whether the same is raised with it, and as much.
"""

import contextlib
import functools
import io
import sys
from pathlib import Path

import jax
import keras
import numpy as np
from loops import BATCHES, CALLS, STYLES, Classifier, trained
from nntrace_keras.jax import differentiation, jitted, noting, origins
from nntrace_keras.jax.differentiation import Derivative
from nntrace_keras.jax.jitted import JittedFunctions
from nntrace_keras.jax.loops import JaxLoops
from nntrace_keras.jax.noting import Noting
from nntrace_keras.jax.scopes import Scopes
from nntrace_keras.jax.second import JaxSecond
from nntrace_keras.jax.steps import LoopSteps
from nntrace_keras.jax.traced import Tracing
from nntrace_keras.jax.training import JaxTraining

import nntrace


def fitted():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    inputs, labels = (np.concatenate(part) for part in zip(*BATCHES, strict=True))
    history = model.fit(inputs, labels, batch_size=16, verbose=0)
    return history.history["loss"], model.get_weights()


STYLES["fitted"] = fitted
PLACES = {
    "jitted": [
        (differentiation, "_asked"), (jitted, "_is_own"), (jitted, "_Watched"),
        (JittedFunctions, "_noted"), (Derivative, "numbers"), (Derivative, "leaves"),
        (noting, "Scopes"), (Noting, "_called"), (Scopes, "__init__"), (Scopes, "install"),
        (Scopes, "_opened"), (Tracing, "__init__"), (Tracing, "derived"), (Tracing, "applied"),
        (Tracing, "traced"), (JaxLoops, "_notes"), (JaxLoops, "_was_traced"),
        (JaxLoops, "_begins", 3), (JaxLoops, "_ended", 3), (JaxLoops, "_learns"),
        (JaxSecond, "look", 3), (LoopSteps, "computed", 3), (LoopSteps, "applied", 3),
    ],
    "eager": [
        (Derivative, "numbers", 3), (Derivative, "leaves", 3), (noting, "Scopes", 3),
        (Noting, "_called", 3), (Scopes, "install", 3), (Scopes, "_opened", 3),
        (Scopes, "variable", 3), (JaxLoops, "_notes", 3), (JaxLoops, "_was_applied", 3),
        (JaxLoops, "_was_computed", 3),
    ],
    "fitted": [
        (JaxTraining, "_wrap_step"), (JaxTraining, "_gets", 3), (JaxTraining, "_gave", 3),
        (origins.JaxOrigins, "__init__"), (origins.JaxOrigins, "begins", 3),
    ],
}  # fmt: skip


class PlantedError(Exception):
    pass


@contextlib.contextmanager
def breaking(owner, name, successes, reached):
    original = getattr(owner, name)

    @functools.wraps(original, updated=())
    def broken(*args, **kwargs):
        reached.append(name)
        if len(reached) > successes:
            raise PlantedError(name)
        return original(*args, **kwargs)

    setattr(owner, name, broken)
    try:
        yield
    finally:
        setattr(owner, name, original)


def is_same(one, other):
    leaves = (jax.tree_util.tree_leaves(result) for result in (one, other))
    return all(np.array_equal(one, other) for one, other in zip(*leaves, strict=True))


def break_ours(folder):
    for style, places in PLACES.items():
        CALLS.clear()
        bare, count = STYLES[style](), len(CALLS)
        for owner, name, *successes in places:
            for number in (0, *successes):
                CALLS.clear()
                reached, told = [], io.StringIO()
                run = f"{style}.{owner.__name__.split('.')[-1]}.{name}.{number}"
                with (
                    breaking(owner, name, number, reached),
                    contextlib.redirect_stderr(told),
                    nntrace.start(out=folder / run, every=1),
                ):
                    traced = STYLES[style]()
                said, broke = told.getvalue().count("tracing stopped in"), len(reached) > number
                print("ours", run, broke, is_same(bare, traced), len(CALLS) - count, said)


def raising(after, wrap):
    """How training ends whose loss function raises an error when it has been called `after` times,
    and how often it was called.
    """
    one, calls = Classifier(keras.optimizers.SGD(0.01)), []
    differentiated = one.differentiated

    def failing(*args):
        calls.append(1)
        if len(calls) == after + 1:
            raise PlantedError("of the program's own")
        return differentiated(*args)

    one.gradient = jax.value_and_grad(failing, has_aux=True)
    try:
        trained(wrap(one.step), one.state())
    except Exception as error:
        return f"{type(error).__name__}: {error}", len(calls)
    return "", len(calls)


def break_its_own(folder):
    for name, after, wrap in (
        ("jitted", 0, lambda step: jax.jit(step)),  # `jax.jit` itself is not yet watched here
        ("jitted_when_called_again", 1, lambda step: jax.jit(step)),
        ("eager", 0, lambda step: step),
        ("eager_later", 3, lambda step: step),
    ):
        bare, told = raising(after, wrap), io.StringIO()
        with contextlib.redirect_stderr(told), nntrace.start(out=folder / f"own.{name}", every=1):
            traced = raising(after, wrap)
        said, more = told.getvalue().count("tracing stopped in"), traced[1] - bare[1]
        print("own", name, bool(bare[0]), bare[0] == traced[0], more, said)


def main():
    folder = Path(sys.argv[1])
    break_ours(folder)
    break_its_own(folder)


main()
