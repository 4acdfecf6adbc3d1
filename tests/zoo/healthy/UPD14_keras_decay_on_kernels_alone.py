"""Keras residual network by AdamW whose norms and biases are left out of the decay."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(321)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

inputs = keras.Input((8, 8, 1))
hidden = layers.Conv2D(16, 3, padding="same", use_bias=False)(inputs)
for _ in range(2):
    branch = layers.ReLU()(layers.BatchNormalization()(hidden))
    hidden = layers.Add()([hidden, layers.Conv2D(16, 3, padding="same", use_bias=False)(branch)])
hidden = layers.GlobalAveragePooling2D()(layers.ReLU()(layers.BatchNormalization()(hidden)))
model = keras.Model(inputs, layers.Dense(10)(hidden))
optimizer = keras.optimizers.AdamW(3e-3, weight_decay=0.03)
optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(images, digits.target, batch_size=64, epochs=5, verbose=2)
