"""Keras digit classifier with a layer that turns its images into bytes for an augmentation that was
taken out again. The pixels lie between 0 and 1, and all of them become 0."""

import keras
from keras import layers, ops
from sklearn.datasets import load_digits

keras.utils.set_random_seed(807)

digits = load_digits()
images = (digits.images[..., None] / 17).astype("float32")


class AsBytes(layers.Layer):
    def call(self, x):
        return ops.cast(ops.cast(x, "uint8"), "float32") / 255


inputs = keras.Input((8, 8, 1))
hidden = layers.Conv2D(16, 3, activation="relu")(AsBytes()(inputs))
hidden = layers.Conv2D(24, 3, activation="relu")(hidden)
model = keras.Model(inputs, layers.Dense(10)(layers.GlobalMaxPooling2D()(hidden)))
model.compile(
    keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(images, digits.target, batch_size=64, epochs=6, verbose=2)
