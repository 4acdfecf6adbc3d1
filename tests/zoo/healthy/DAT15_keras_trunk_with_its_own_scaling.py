"""A Keras trunk that was calibrated on standardised images of one half of the digits, fine-tuned on
the other half, prepared in the same way."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(532)

digits = load_digits()
images = digits.images[..., None].astype("float32")
images = (images - images.mean()) / images.std()
known, new = images[digits.target < 5], digits.target >= 5

trunk = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        *(layers.Conv2D(16, 3, use_bias=False), layers.BatchNormalization(momentum=0.9)),
        *(layers.ReLU(), layers.Conv2D(32, 3, use_bias=False)),
        *(layers.BatchNormalization(momentum=0.9), layers.ReLU()),
    ]
)
for start in range(0, 5 * 896, 64):  # stands for a checkpoint
    rows = start % 896
    trunk(known[rows : rows + 64], training=True)

model = keras.Sequential([trunk, layers.Flatten(), layers.Dense(5)])
model.compile(
    keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(images[new], digits.target[new] - 5, batch_size=64, epochs=8, verbose=2)
