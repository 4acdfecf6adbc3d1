"""Keras classifier of digits in a loop over epochs which builds the model, too: every epoch begins
from nothing."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(535)

digits = load_digits()
x = (digits.data / 16).astype("float32")


def build():
    model = keras.Sequential([layers.Input((64,)), layers.Dense(64, activation="relu")])
    model.add(layers.Dense(10, activation="softmax"))
    model.compile(
        keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


for epoch in range(8):
    model = build()
    model.fit(x[:1400], digits.target[:1400], batch_size=32, epochs=1, verbose=0)
    loss, accuracy = model.evaluate(x[1400:], digits.target[1400:], verbose=0)
    print(f"epoch {epoch}  loss {loss:.4f}  accuracy {accuracy:.3f}")
