"""Keras classifier with dropout, decay and early stopping, which ends before it overfits."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(32)

digits = load_digits()
images = ((digits.data - digits.data.mean()) / digits.data.std()).astype("float32")

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(96, activation="relu"),
        layers.Dropout(0.3),
        layers.Dense(10),
    ]
)
model.compile(
    keras.optimizers.AdamW(2e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
stop = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
x, y = images[:1300], digits.target[:1300]
valid = images[1300:], digits.target[1300:]
model.fit(x, y, batch_size=64, epochs=30, validation_data=valid, callbacks=[stop], verbose=2)
