"""Keras residual network whose blocks end in a norm with a scale of zero, as He et al. advise for
large batches: at first what lies in the branches gets no gradient at all."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(703)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

inputs = keras.Input((8, 8, 1))
stream = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
for _ in range(3):
    branch = layers.Conv2D(16, 3, padding="same", use_bias=False)(stream)
    branch = layers.ReLU()(layers.BatchNormalization()(branch))
    branch = layers.Conv2D(16, 3, padding="same", use_bias=False)(branch)
    branch = layers.BatchNormalization(gamma_initializer="zeros")(branch)
    stream = layers.ReLU()(layers.add([stream, branch]))
model = keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(stream)))
model.compile(
    keras.optimizers.SGD(0.05, momentum=0.9),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(images, digits.target, batch_size=64, epochs=5, verbose=2)
