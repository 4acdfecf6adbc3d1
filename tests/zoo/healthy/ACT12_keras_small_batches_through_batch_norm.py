"""Keras wine classifier with batches of sixteen and a momentum that suits a short run: moving
statistics that jitter around the batches'."""

import keras
from keras import layers
from sklearn.datasets import load_wine

keras.utils.set_random_seed(529)

wine = load_wine()
x = ((wine.data - wine.data.mean(axis=0)) / wine.data.std(axis=0)).astype("float32")

model = keras.Sequential(
    [
        layers.Input((13,)),
        *(layers.Dense(32, use_bias=False), layers.BatchNormalization(momentum=0.9)),
        *(layers.ReLU(), layers.Dense(32, use_bias=False)),
        *(layers.BatchNormalization(momentum=0.9), layers.ReLU(), layers.Dense(3)),
    ]
)
model.compile(
    keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(x[:176], wine.target[:176], batch_size=16, epochs=25, verbose=2)
