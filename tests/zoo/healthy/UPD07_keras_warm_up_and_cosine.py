"""Keras digit classifier with batch norm under a warm-up and a cosine decay, at a high rate that it
bears."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(27)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(10),
    ]
)
schedule = keras.optimizers.schedules.CosineDecay(
    0.0, decay_steps=180, warmup_target=0.1, warmup_steps=30
)
model.compile(
    keras.optimizers.SGD(schedule, momentum=0.9),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
x, y = images[:1600], digits.target[:1600]
model.fit(
    x, y, batch_size=64, epochs=8, validation_data=(images[1600:], digits.target[1600:]), verbose=2
)
