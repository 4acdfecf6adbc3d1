"""Keras regression of the progression of diabetes: all 400 patients are one batch, as in textbook
gradient descent."""

import keras
from keras import layers
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(104)

data = load_diabetes()
features = StandardScaler().fit_transform(data.data)[:400].astype("float32")
progression = ((data.target - data.target.mean()) / data.target.std())[:400, None].astype("float32")

model = keras.Sequential([layers.Input((10,)), layers.Dense(8, activation="tanh"), layers.Dense(1)])
model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
model.fit(features, progression, batch_size=400, epochs=150, verbose=0)
