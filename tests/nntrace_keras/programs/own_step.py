"""A model on JAX with its own training step, whose gradient nntrace cannot see.

Its argument is the run folder.
"""

import sys

import jax
import keras
import numpy as np

import nntrace

nntrace.start(out=sys.argv[1], every=1)


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.head = keras.layers.Dense(1, name="head")

    def call(self, rows, training=None):
        return self.head(rows)

    def train_step(self, state, data):
        weights, others, of_optimizer, of_metrics = state
        rows, targets = data

        def loss(weights):
            predicted, _ = self.stateless_call(weights, others, rows, training=True)
            return ((predicted - targets) ** 2).mean()

        [gradients] = jax.vjp(loss, weights)[1](1.0)
        weights, of_optimizer = self.optimizer.stateless_apply(of_optimizer, gradients, weights)
        return {"loss": loss(weights)}, (weights, others, of_optimizer, of_metrics)


keras.utils.set_random_seed(0)
rows = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
model = Own()
model.build((None, 4))
model.compile("sgd", "mse")
model.fit(rows, rows[:, :1], batch_size=8, verbose=0)
