"""Keras digit classifier with a train_step taken over from adversarial training, where the loss is
to grow. In review: the minus before each gradient."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(212)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")


class Classifier(keras.Model):
    def __init__(self):
        super().__init__()
        self.features = keras.Sequential([layers.Conv2D(16, 3, activation="relu")])
        self.flat, self.head = layers.Flatten(), layers.Dense(10)

    def call(self, x):
        return self.head(self.flat(self.features(x)))

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        gradients = [-g for g in tape.gradient(loss, self.trainable_variables)]
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"loss": loss}


model = Classifier()
model.compile(
    keras.optimizers.SGD(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(images, digits.target, batch_size=64, epochs=5, verbose=2)
