"""Keras regression of the standardised progression of diabetes with a linear head."""

import keras
from keras import layers
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(25)

data = load_diabetes()
features = StandardScaler().fit_transform(data.data).astype("float32")
targets = ((data.target - data.target.mean()) / data.target.std()).astype("float32")

model = keras.Sequential(
    [layers.Input((10,)), layers.Dense(32, activation="relu"), layers.Dense(1)]
)
model.compile("adam", "mse")
model.fit(features, targets[:, None], batch_size=32, epochs=15, verbose=2)
