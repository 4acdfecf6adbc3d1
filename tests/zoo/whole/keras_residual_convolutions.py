"""Keras residual network with batch norm, flips and shifts as augmentation, cosine decay and
validation."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(320)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")


def block(x, width):
    y = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    y = layers.Conv2D(width, 3, padding="same", use_bias=False)(y)
    y = layers.BatchNormalization(gamma_initializer="zeros")(y)
    return layers.ReLU()(layers.Add()([x, y]))


inputs = layers.Input((8, 8, 1))
x = layers.RandomTranslation(0.1, 0.1, fill_value=-1.0, fill_mode="constant")(inputs)
x = layers.Conv2D(16, 3, padding="same", use_bias=False)(x)
x = layers.ReLU()(layers.BatchNormalization()(x))
x = block(block(x, 16), 16)
outputs = layers.Dense(10)(layers.Flatten()(layers.MaxPooling2D()(x)))
model = keras.Model(inputs, outputs)

x, y = images[:1500], digits.target[:1500]
schedule = keras.optimizers.schedules.CosineDecay(0.03, 24 * 7)
model.compile(
    keras.optimizers.SGD(schedule, momentum=0.9),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
valid = images[1500:], digits.target[1500:]
model.fit(x, y, batch_size=64, epochs=7, validation_data=valid, verbose=2)
