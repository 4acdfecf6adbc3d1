"""Small Keras models under `fit`; prints the seconds of a later step, of all, and of the first."""

import argparse
import json
import tempfile
import time

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


class Clock(keras.callbacks.Callback):
    """When each batch began and ended."""

    def __init__(self) -> None:
        super().__init__()
        self.began: list[float] = []
        self.ended: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        """A step begins."""
        self.began.append(time.perf_counter())

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        """A step is over."""
        self.ended.append(time.perf_counter())


def main() -> None:
    """Train in ten epochs, since TensorBoard writes its histograms once in each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=SHAPES)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--no-xla", action="store_true")
    parser.add_argument("--tensorboard", action="store_true")
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    count = max(1, options.steps // 10) * BATCH
    inputs = random.normal(size=(count, *SHAPES[options.model])).astype("float32")
    body = BODIES[options.model]()
    model = keras.Sequential([layers.Input(SHAPES[options.model]), *body, layers.Dense(5)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, jit_compile=not options.no_xla)
    clock = Clock()
    callbacks: list[keras.callbacks.Callback] = [clock]
    with tempfile.TemporaryDirectory() as folder:
        if options.tensorboard:
            callbacks.append(keras.callbacks.TensorBoard(folder, histogram_freq=1))
        labels = random.integers(0, 5, count)
        model.fit(inputs, labels, batch_size=BATCH, epochs=10, verbose=0, callbacks=callbacks)
    half = len(clock.began) // 2
    later = (clock.ended[-1] - clock.began[half]) / (len(clock.began) - half)
    first = clock.ended[0] - clock.began[0]
    whole = (clock.ended[-1] - clock.ended[0]) / (len(clock.began) - 1)
    answer = {"seconds_per_step": later, "seconds_per_step_of_all": whole}
    print(json.dumps({**answer, "first_step_seconds": first}))


if __name__ == "__main__":
    main()
