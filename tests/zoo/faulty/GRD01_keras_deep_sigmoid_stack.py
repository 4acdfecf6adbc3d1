"""Keras digit classifier of ten sigmoid layers: each multiplies the gradient by a quarter at most,
hence the first ones learn nothing. In review: `activation="sigmoid"` all the way down."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(17)

digits = load_digits()
images = ((digits.data - digits.data.mean()) / digits.data.std()).astype("float32")

hidden = [layers.Dense(64, activation="sigmoid") for _ in range(10)]
model = keras.Sequential([layers.Input((64,)), *hidden, layers.Dense(10)])
model.compile(
    keras.optimizers.SGD(0.05, momentum=0.9),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(images, digits.target, batch_size=64, epochs=10, verbose=2)
