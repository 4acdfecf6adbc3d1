"""Trains a model with norm and dropout in a function compiled by PyTorch, bare and then traced.

Its arguments are the run folder; prints whether losses and weights are the same to the last bit.
"""

import sys

import keras
import numpy as np
import torch
from keras import layers

import nntrace


def trained():
    torch.compiler.reset()
    keras.utils.set_random_seed(0)
    draw = np.random.default_rng(0)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.2),
            layers.Dense(3),
        ]
    )
    # The backend that runs what was captured as it is: Inductor takes a minute.
    compiled = torch.compile(lambda given: model(given, training=True), backend="eager")
    optimizer = torch.optim.SGD([v.value for v in model.trainable_variables], lr=0.1)
    losses = []
    for _ in range(4):
        given = torch.tensor(draw.normal(size=(16, 8)), dtype=torch.float32)
        labels = torch.tensor(draw.integers(0, 3, 16))
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(compiled(given), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return [losses, *model.get_weights()]


bare = trained()
nntrace.start(out=sys.argv[1], every=1)
traced = trained()
print(all(np.array_equal(one, other) for one, other in zip(bare, traced, strict=True)))
