"""Pickles functions that were given to `jax.jit`, as libraries that send work to processes do."""

import copy

import cloudpickle
import jax
import keras


def doubled(x):
    return 2 * x


@jax.jit
def increased(x):
    return x + 1


class Scale:
    @jax.jit
    def halved(self):
        return self / 2

    @jax.jit
    def power(self, x=3.0):
        return self**x


jitted = jax.jit(doubled)
print(keras.__version__, jitted(2.0), increased(1.0), Scale.halved(1.0), Scale.power(2.0))
for function in (doubled, jitted, increased, Scale.halved, Scale.power):
    print(cloudpickle.loads(cloudpickle.dumps(function))(3.0), copy.deepcopy(function)(3.0))
