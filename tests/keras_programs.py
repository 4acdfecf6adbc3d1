"""Small Keras models and data that the tests of the Keras adapter share."""

import keras
import numpy as np
from keras import layers


def blobs(count: int = 64, features: int = 4, classes: int = 3):
    """Inputs [count, features] around one centre per class, and their labels."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % classes
    centres = random.normal(size=(classes, features))
    inputs = centres[labels] + 0.3 * random.normal(size=(count, features))
    return inputs.astype("float32"), labels.astype("int32")


def mlp(features: int = 4, classes: int = 3, hidden: int = 8) -> keras.Sequential:
    """features → hidden → classes with a ReLU."""
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            layers.Input((features,)),
            layers.Dense(hidden, name="first"),
            layers.ReLU(name="relu"),
            layers.Dense(classes, name="head"),
        ],
        name="mlp",
    )


def compiled(model: keras.Model, **settings) -> keras.Model:
    """Compile the model, by default with SGD and the cross-entropy on logits."""
    settings.setdefault("optimizer", keras.optimizers.SGD(0.1))
    settings.setdefault("loss", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    settings.setdefault("jit_compile", False)
    model.compile(**settings)
    return model
