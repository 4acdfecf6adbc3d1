"""REINFORCE on a bandit with a context: its batches come from the policy."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(0)
policy = keras.Sequential([keras.Input((3,)), layers.Dense(32, "tanh"), layers.Dense(3)])
optimizer = keras.optimizers.Adam(5e-3)
for _ in range(220):
    state = np.random.normal(size=(32, 3)).astype("float32")
    logits = policy(state)
    action = tf.random.categorical(logits, 1)[:, 0].numpy()
    reward = (action == state.argmax(1)).astype("float32")
    with tf.GradientTape() as tape:
        chosen = tf.gather(tf.nn.log_softmax(policy(state)), action, axis=1, batch_dims=1)
        loss = -tf.reduce_mean(chosen * (reward - reward.mean()))
    gradients = tape.gradient(loss, policy.trainable_variables)
    optimizer.apply_gradients(zip(gradients, policy.trainable_variables, strict=True))
