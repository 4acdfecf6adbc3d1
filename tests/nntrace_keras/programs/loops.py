"""Trains in loops of its own on JAX, each bare and then traced.

Its argument is the folder of the runs; prints for each whether losses and weights are the same to
the last bit, how often the loss function was called in Python, bare and traced, and the losses.
"""

import copy
import sys
from functools import partial
from pathlib import Path

import jax
import keras
import numpy as np
from keras import layers

import nntrace

INPUTS = np.random.default_rng(0).normal(size=(96, 6)).astype("float32")
LABELS = (np.arange(96) % 3).astype("int32")
BATCHES = [(INPUTS[n : n + 16], LABELS[n : n + 16]) for n in range(0, 96, 16)]
CALLS = []


class Classifier:
    def __init__(self, optimizer):
        keras.utils.set_random_seed(0)
        parts = [layers.Dense(8, name="hidden"), layers.BatchNormalization(), layers.Dropout(0.3)]
        self.model = keras.Sequential([keras.Input((6,)), *parts, layers.Dense(3, name="head")])
        self.optimizer = optimizer
        optimizer.build(self.model.trainable_variables)
        self.loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.gradient = jax.value_and_grad(self.differentiated, has_aux=True)

    def state(self):
        parts = (self.model.trainable_variables, self.model.non_trainable_variables)
        return tuple([v.value for v in part] for part in (*parts, self.optimizer.variables))

    def differentiated(self, weights, others, inputs, labels):
        CALLS.append(1)
        predicted, others = self.model.stateless_call(weights, others, inputs, training=True)
        return self.optimizer.scale_loss(self.loss(labels, predicted)), others

    def step(self, state, batch):
        weights, others, of_optimizer = state
        (loss, others), gradients = self.gradient(weights, others, *batch)
        weights, of_optimizer = self.optimizer.stateless_apply(of_optimizer, gradients, weights)
        return loss, (weights, others, of_optimizer)


def trained(step, state, batches=BATCHES):
    losses = []
    for batch in batches:
        loss, state = step(state, batch)
        losses.append(loss)
    return losses, state


def jitted(optimizer=None, **options):
    one = Classifier(optimizer or keras.optimizers.Adam(0.01))
    return trained(jax.jit(one.step, **options), one.state())


def eager():
    one = Classifier(keras.optimizers.Adam(0.01))
    return trained(one.step, one.state())


def of_an_object():
    class Trainer(Classifier):
        jitted = partial(jax.jit, static_argnums=0)(Classifier.step)

    one = Trainer(keras.optimizers.SGD(0.01))
    return trained(one.jitted, one.state())


def copied():
    one = Classifier(keras.optimizers.SGD(0.01))
    function = jax.jit(lambda state, batch: one.step(state, batch))
    return trained(copy.deepcopy(function), one.state())


def in_two_functions():
    one = Classifier(keras.optimizers.Adam(0.01))
    gradient, apply = jax.jit(one.gradient), jax.jit(one.optimizer.stateless_apply)

    def step(state, batch):
        weights, others, of_optimizer = state
        (loss, others), gradients = gradient(weights, others, *batch)
        return loss, (*reversed(apply(of_optimizer, gradients, weights)), others)

    def ordered(state, batch):
        loss, (of_optimizer, weights, others) = step(state, batch)
        return loss, (weights, others, of_optimizer)

    return trained(ordered, one.state())


def by_hand():
    one = Classifier(keras.optimizers.SGD(0.01))

    @jax.jit
    def step(state, batch):
        weights, others, of_optimizer = state
        (loss, others), gradients = one.gradient(weights, others, *batch)
        weights = jax.tree_util.tree_map(lambda w, g: w - 0.1 * g, weights, gradients)
        return loss, (weights, others, of_optimizer)

    return trained(step, one.state())


def with_an_evaluation():
    one = Classifier(keras.optimizers.SGD(0.01))

    @partial(jax.jit, static_argnames="train")
    def step(state, batch, train):
        return one.step(state, batch) if train else (one.differentiated(*state[:2], *batch), state)

    losses, state = [], one.state()
    for batch in BATCHES:
        loss, state = step(state, batch, train=True)
        losses.append(loss)
        step(state, batch, train=False)
    return losses, state


def in_a_scan():
    one = Classifier(keras.optimizers.SGD(0.01))

    @jax.jit
    def epoch(state, batches):
        state, losses = jax.lax.scan(lambda *args: one.step(*args)[::-1], state, batches)
        return losses, state

    stacked = jax.tree_util.tree_map(lambda *parts: np.stack(parts), *BATCHES)
    losses, state = epoch(one.state(), stacked)
    return list(losses), state


def adversarial():
    keras.utils.set_random_seed(0)
    maker = keras.Sequential([keras.Input((2,)), layers.Dense(6, name="made")], name="maker")
    judge = keras.Sequential([keras.Input((6,)), layers.Dense(1, name="judged")], name="judge")
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    optimizers = [keras.optimizers.Adam(0.01), keras.optimizers.SGD(0.1)]
    for optimizer, model in zip(optimizers, (maker, judge), strict=True):
        optimizer.build(model.trainable_variables)

    def made(weights, judging, noise):
        rows = maker.stateless_call(weights, [], noise)[0]
        scores = judge.stateless_call(judging, [], rows)[0]
        return loss(jax.numpy.ones((16, 1)), scores)

    def judged(weights, making, noise, real):
        rows = maker.stateless_call(making, [], noise)[0]
        scores = judge.stateless_call(weights, [], jax.numpy.concatenate([rows, real]))[0]
        return loss(jax.numpy.repeat(jax.numpy.array([0.0, 1.0]), 16)[:, None], scores)

    @jax.jit
    def step(state, batch):
        making, judging, of_maker, of_judge = state
        noise = batch[0][:, :2]
        lost, gradients = jax.value_and_grad(judged)(judging, making, noise, batch[0])
        judging, of_judge = optimizers[1].stateless_apply(of_judge, gradients, judging)
        value, gradients = jax.value_and_grad(made)(making, judging, noise)
        making, of_maker = optimizers[0].stateless_apply(of_maker, gradients, making)
        return lost + value, (making, judging, of_maker, of_judge)

    weights = [[v.value for v in model.trainable_variables] for model in (maker, judge)]
    return trained(step, (*weights, *([v.value for v in o.variables] for o in optimizers)))


STYLES = {
    "jitted": jitted,
    "donated": lambda: jitted(donate_argnums=0),
    "gathered": lambda: jitted(keras.optimizers.SGD(0.01, gradient_accumulation_steps=2)),
    "scaled": lambda: jitted(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01))),
    "eager": eager,
    "of_an_object": of_an_object,
    "copied": copied,
    "in_two_functions": in_two_functions,
    "by_hand": by_hand,
    "with_an_evaluation": with_an_evaluation,
    "in_a_scan": in_a_scan,
    "adversarial": adversarial,
}


def main():
    for name in sys.argv[2:] or STYLES:
        bare, count = STYLES[name](), len(CALLS)
        with nntrace.start(out=Path(sys.argv[1]) / name, every=1):
            traced = STYLES[name]()
        leaves = (jax.tree_util.tree_leaves(result) for result in (bare, traced))
        same = all(np.array_equal(one, other) for one, other in zip(*leaves, strict=True))
        print(name, same, count, len(CALLS) - count, *map(float, bare[0]))
        CALLS.clear()


if __name__ == "__main__":
    main()
