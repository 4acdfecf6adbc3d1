"""Keras classifier of irises whose softmax was dropped for export, trained with the loss it had
before, which takes probabilities. In review: `from_logits=True` belongs to the new head."""

import keras
from keras import layers
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(304)

data = load_iris()
features = StandardScaler().fit_transform(data.data).astype("float32")
classes = keras.utils.to_categorical(data.target, 3)

model = keras.Sequential(
    [layers.Input((4,)), layers.Dense(32, activation="relu"), layers.Dense(3, name="logits")]
)
model.compile("adam", keras.losses.CategoricalCrossentropy(), metrics=["accuracy"])
model.fit(features, classes, batch_size=16, epochs=30, verbose=2)
