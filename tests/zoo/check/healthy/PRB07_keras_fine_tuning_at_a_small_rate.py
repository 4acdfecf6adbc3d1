"""A trained model, trained on with a hundredth of the rate."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
centres = np.random.normal(size=(6, 16))
labels = np.random.randint(0, 6, 2000)
x = (1.2 * centres[labels] + np.random.normal(size=(2000, 16))).astype("float32")
model = keras.Sequential([layers.Dense(64, "relu"), layers.Dense(6)])
model.build((None, 16))
kernel, bias = model.layers[1].get_weights()
prototypes = np.concatenate([centres, np.random.normal(size=(58, 16))])
model.layers[0].set_weights([0.2 * prototypes.T, np.zeros(64)])
kernel[:6] += 0.3 * np.eye(6)
model.layers[1].set_weights([kernel, bias])
model.compile(
    optimizer=keras.optimizers.Adam(1e-4),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(x, labels, batch_size=50, epochs=6, verbose=0)
