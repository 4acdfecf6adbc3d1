"""Small Keras models for `fit`. Run as a program, it prints the seconds of the first step."""

import argparse
import time
from typing import Any

import keras
import numpy as np
from keras import layers

SHAPES = {"mlp": (32,), "cnn": (24, 24, 3), "lstm": (20, 16)}
BODIES = {
    "mlp": lambda: [layers.Dense(256, activation="relu"), layers.Dense(256, activation="relu")],
    "cnn": lambda: [
        layers.Conv2D(16, 3),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv2D(32, 3, strides=2),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.GlobalAveragePooling2D(),
    ],
    "lstm": lambda: [layers.LSTM(32, return_sequences=True), layers.LSTM(32)],
}
BATCH = 32


def compiled(name: str, *, xla: bool) -> Any:
    """Return a model that is ready for `fit`."""
    keras.utils.set_random_seed(0)
    body = BODIES[name]()
    model = keras.Sequential([layers.Input(SHAPES[name]), *body, layers.Dense(5)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, jit_compile=xla)
    return model


def examples(name: str, steps: int) -> tuple[Any, Any]:
    """Return inputs and labels for that many steps."""
    random = np.random.default_rng(0)
    count = steps * BATCH
    inputs = random.normal(size=(count, *SHAPES[name])).astype("float32")
    return inputs, random.integers(0, 5, count)


class FirstStep(keras.callbacks.Callback):
    """Measures how long the first batch takes, in which TensorFlow builds its graphs."""

    seconds = 0.0

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        """Start the clock at the first batch."""
        if batch == 0:
            self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        """Stop the clock after the first batch."""
        if batch == 0:
            self.seconds = time.perf_counter() - self._began


def main() -> None:
    """Train for a few steps and print the seconds of the first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=SHAPES)
    parser.add_argument("--no-xla", action="store_true")
    options = parser.parse_args()
    model, first = compiled(options.model, xla=not options.no_xla), FirstStep()
    model.fit(*examples(options.model, 3), batch_size=BATCH, verbose=0, callbacks=[first])
    print(first.seconds)


if __name__ == "__main__":
    main()
