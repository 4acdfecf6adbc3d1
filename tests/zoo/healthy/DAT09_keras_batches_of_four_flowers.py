"""Keras iris classifier in shuffled batches of four: few of them hold all three species."""

import keras
from keras import layers
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(115)

iris = load_iris()
features = StandardScaler().fit_transform(iris.data).astype("float32")

model = keras.Sequential([layers.Input((4,)), layers.Dense(16, activation="relu")])
model.add(layers.Dense(3, activation="softmax"))
model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
model.fit(features, iris.target, batch_size=4, epochs=12, verbose=2)
