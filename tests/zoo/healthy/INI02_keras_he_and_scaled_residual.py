"""Keras residual network of dense layers: He's initialisation, the last layer of each branch scaled
down by the depth."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(31)

digits = load_digits()
images = ((digits.data - digits.data.mean()) / digits.data.std()).astype("float32")

small = keras.initializers.VarianceScaling(0.25, mode="fan_in")
inputs = layers.Input((64,))
x = layers.Dense(64, activation="relu", kernel_initializer="he_normal")(inputs)
for _ in range(3):
    branch = layers.LayerNormalization()(x)
    branch = layers.Dense(96, activation="relu", kernel_initializer="he_normal")(branch)
    x = layers.Add()([x, layers.Dense(64, kernel_initializer=small)(branch)])
outputs = layers.Dense(10, activation="softmax")(layers.LayerNormalization()(x))

model = keras.Model(inputs, outputs)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(images, digits.target, batch_size=64, epochs=6, verbose=2)
