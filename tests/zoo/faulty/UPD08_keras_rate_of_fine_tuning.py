"""Keras digit classifier trained from scratch by SGD at 5e-5: after eight passes the loss is
where it was, a little lower each time."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(8)

digits = load_digits()
images = ((digits.data - digits.data.mean()) / digits.data.std()).astype("float32")

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(64, activation="relu"),
        layers.Dense(64, activation="relu"),
        layers.Dense(10),
    ]
)
model.compile(
    keras.optimizers.SGD(5e-5, momentum=0.9),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(images, digits.target, batch_size=64, epochs=8, verbose=2)
