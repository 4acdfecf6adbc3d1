"""Keras detector of breast cancer in a loop of its own that computes the area under the curve after
each batch, over every prediction made so far: the steps grow longer and longer."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(609)

table = load_breast_cancer()
features = StandardScaler().fit_transform(table.data).astype("float32")
data = tf.data.Dataset.from_tensor_slices((features, table.target.astype("float32")))
data = data.shuffle(600).repeat().batch(256).take(300)

model = keras.Sequential([layers.Input((30,)), layers.Dense(24, activation="relu")])
model.add(layers.Dense(1, activation="sigmoid"))
optimizer = keras.optimizers.Adam(1e-3)
criterion = keras.losses.BinaryCrossentropy()
answers, truths = [], []


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        predicted = model(x, training=True)
        loss = criterion(y[:, None], predicted)
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss, predicted


for step, (x, y) in enumerate(data):
    loss, predicted = train_step(x, y)
    answers += predicted.numpy()[:, 0].tolist()
    truths += y.numpy().tolist()
    area = roc_auc_score(truths, answers)
    if step % 50 == 0:
        print(f"step {step}  loss {float(loss):.4f}  area {area:.3f}")
