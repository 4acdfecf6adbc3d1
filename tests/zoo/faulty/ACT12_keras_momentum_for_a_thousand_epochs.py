"""Keras wine classifier with `momentum=0.9995`, which the model it was taken from needed for its
many steps: within this run the moving statistics hardly leave their start."""

import keras
from keras import layers
from sklearn.datasets import load_wine

keras.utils.set_random_seed(527)

wine = load_wine()
x = ((wine.data - wine.data.mean(axis=0)) / wine.data.std(axis=0)).astype("float32")
wide = keras.initializers.RandomNormal(stddev=0.7)

model = keras.Sequential(
    [
        layers.Input((13,)),
        layers.Dense(64, use_bias=False, kernel_initializer=wide),
        layers.BatchNormalization(momentum=0.9995),
        layers.ReLU(),
        layers.Dense(64, use_bias=False, kernel_initializer=wide),
        layers.BatchNormalization(momentum=0.9995),
        layers.ReLU(),
        layers.Dense(3),
    ]
)
model.compile(
    keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(x, wine.target, batch_size=32, epochs=45, verbose=2)
