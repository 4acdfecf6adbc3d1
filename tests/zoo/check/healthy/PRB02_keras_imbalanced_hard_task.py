"""One positive in twenty and much noise: the prior explains most of the loss."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
x = np.random.normal(size=(4000, 10)).astype("float32")
y = (x[:, :1] + 1.5 * np.random.normal(size=(4000, 1)) > 2.9).astype("float32")
prior = keras.initializers.Constant(float(np.log(y.mean() / (1 - y.mean()))))
model = keras.Sequential(
    [
        layers.Dense(32, "relu"),
        layers.Dropout(0.2),
        layers.Dense(1, "sigmoid", bias_initializer=prior),
    ]
)
model.compile(optimizer=keras.optimizers.AdamW(3e-3), loss="binary_crossentropy")
model.fit(x, y, batch_size=64, epochs=4, verbose=0)
