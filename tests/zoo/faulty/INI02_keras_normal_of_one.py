"""Keras digit classifier whose kernels are drawn with a standard deviation of one, whatever their
fan."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(13)

digits = load_digits()
images = ((digits.data - digits.data.mean()) / digits.data.std()).astype("float32")
normal = keras.initializers.RandomNormal(stddev=1.0)

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(96, activation="relu", kernel_initializer=normal),
        layers.Dense(48, activation="relu", kernel_initializer=normal),
        layers.Dense(10, activation="softmax", kernel_initializer=normal),
    ]
)
model.compile(keras.optimizers.SGD(1e-3), "sparse_categorical_crossentropy")
model.fit(images, digits.target, batch_size=64, epochs=6, verbose=2)
