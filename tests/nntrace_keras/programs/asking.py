"""Asks JAX for jitted functions and derivatives in unusual ways, bare and traced.

Its argument is the folder of the run. Prints for each whether what comes back, or the error that is
raised, is the same, and both.
"""

import functools
import sys
from pathlib import Path

import jax
import keras
import numpy as np

import nntrace


def loss(one, other):
    return (one * other**2).sum()


def twice(function):
    """One that `functools.wraps` gives what is noted of another."""
    jax.jit(function)(np.ones(2), np.ones(2))

    @functools.wraps(function)
    def doubled(*args):
        return 2 * function(*args)

    return jax.jit(doubled)


ONES = (np.full(2, 2.0, "float32"), np.full(2, 3.0, "float32"))
WAYS = {
    "jit_by_keyword": lambda: jax.jit(fun=loss)(*ONES),
    "jit_without_function": lambda: jax.jit(static_argnames=())(loss)(*ONES),
    "jit_with_wrong_option": lambda: jax.jit(static_argnum=0),
    "jit_of_no_function": lambda: jax.jit(3),
    "jit_of_a_jitted_function": lambda: jax.jit(jax.jit(loss))(*ONES),
    "jit_of_a_partial": lambda: jax.jit(functools.partial(loss, ONES[0]))(ONES[1]),
    "jit_of_a_wrapper": lambda: twice(loss)(*ONES),
    "grad_by_keyword": lambda: jax.grad(fun=loss, argnums=1)(*ONES),
    "all_positional": lambda: jax.value_and_grad(loss, 1, False, False, False)(*ONES),
    "numbers_in_a_list": lambda: jax.grad(loss, argnums=[0, 1])(*ONES),
    "numbers_of_numpy": lambda: jax.value_and_grad(loss, argnums=np.int64(1))(*ONES),
    "negative_number": lambda: jax.grad(loss, argnums=-1)(*ONES),
    "negative_numbers": lambda: jax.grad(loss, argnums=(-1, 0))(*ONES),
    "no_numbers": lambda: jax.grad(loss, argnums=())(*ONES),
    "number_too_large": lambda: jax.grad(loss, argnums=2)(*ONES),
    "number_too_small": lambda: jax.grad(loss, argnums=-3)(*ONES),
    "arguments_by_keyword": lambda: jax.grad(loss)(one=ONES[0], other=ONES[1]),
    "wrong_number": lambda: jax.grad(loss, argnums="x"),
    "no_scalar": lambda: jax.grad(lambda one: one)(ONES[0]),
    "jitted_derivative": lambda: jax.jit(jax.grad(loss, argnums=[-1]))(*ONES),
    "second_derivative": lambda: jax.grad(lambda x: jax.grad(lambda y: y**3)(x))(2.0),
}


def step_by_keywords(argnums, optimizer):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    optimizer.build(model.trainable_variables)
    values = [v.value for v in model.trainable_variables]

    def differentiated(inputs, weights):
        return keras.ops.mean(model.stateless_call(weights, [], inputs)[0] ** 2)

    @jax.jit
    def step(values, own):
        found = jax.grad(differentiated, argnums=argnums)(np.ones((4, 2), "float32"), values)
        grads = found if isinstance(argnums, int) else found[0]
        return optimizer.stateless_apply(
            grads=grads, trainable_variables=values, optimizer_variables=own
        )

    own = [v.value for v in optimizer.variables]
    for _ in range(3):
        values, own = step(values, own)
    return values


WAYS["step_by_keywords"] = lambda: step_by_keywords(-1, keras.optimizers.SGD(0.1))
WAYS["step_with_numbers_in_a_list"] = lambda: step_by_keywords([1], keras.optimizers.SGD(0.1))


def outcome(way):
    try:
        return jax.tree_util.tree_map(lambda leaf: np.asarray(leaf).tolist(), way())
    except Exception as error:
        return type(error).__name__, str(error)


def main():
    for name, way in WAYS.items():
        bare = outcome(way)
        with nntrace.start(out=Path(sys.argv[1]) / name, every=1):
            traced = outcome(way)
        print(name, bare == traced, bare, traced, sep="\t")


main()
