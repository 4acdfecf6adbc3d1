"""Keras regression of 60 patients by a network of 20 000 weights: it knows them by heart long
before the training ends."""

import keras
from keras import layers
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(221)

data = load_diabetes()
features = StandardScaler().fit_transform(data.data).astype("float32")
progression = ((data.target - data.target.mean()) / data.target.std()).astype("float32")

model = keras.Sequential(
    [
        layers.Input((10,)),
        layers.Dense(128, activation="relu"),
        layers.Dense(128, activation="relu"),
        layers.Dense(1),
    ]
)
model.compile(keras.optimizers.Adam(3e-3), "mse")
model.fit(
    *(features[:60], progression[:60]),
    validation_data=(features[60:], progression[60:]),
    batch_size=15,
    epochs=60,
    verbose=2,
)
