"""Keras: one claim in fifteen is a fraud, and the class weights take the shares of the two classes
as they are. In review: the weight of a class is its own share, not that of the other."""

import keras
from keras import layers
from sklearn.datasets import make_classification

keras.utils.set_random_seed(5)

claims, is_fraud = make_classification(
    3000, 12, n_informative=6, weights=[0.93], class_sep=1.5, random_state=5
)
share = float(is_fraud.mean())
model = keras.Sequential(
    [layers.Input((12,)), layers.Dense(24, activation="relu"), layers.Dense(1, "sigmoid")]
)
model.compile("adam", "binary_crossentropy", metrics=["accuracy", keras.metrics.Recall()])
model.fit(
    claims.astype("float32"),
    is_fraud,
    batch_size=32,
    epochs=6,
    class_weight={0: 1 - share, 1: share},
    verbose=2,
)
