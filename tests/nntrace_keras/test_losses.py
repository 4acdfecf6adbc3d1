import keras
import pytest
import tensorflow as tf
from nntrace_keras.losses import loss_facts, recorded_name


def facts_in_a_graph(activation, loss, after=lambda prediction: prediction):
    layer = keras.layers.Dense(3, activation=activation)
    layer.build((None, 4))
    found = []

    @tf.function
    def step(inputs):
        found.append(loss_facts(loss, after(layer(inputs))))

    step(tf.zeros((2, 4)))
    return found[0]


@pytest.mark.parametrize(
    ("activation", "head"),
    [
        ("sigmoid", "sigmoid"),
        ("softmax", "softmax"),
        ("relu", "relu"),
        (None, "affine"),
        ("swish", None),
    ],
)
def test_the_operation_behind_the_predictions_is_named_in_a_graph(activation, head):
    facts = facts_in_a_graph(activation, keras.losses.MeanSquaredError())
    assert (facts.head, facts.head_width) == (head, 3)


def test_operations_that_move_values_are_passed():
    loss = keras.losses.MeanSquaredError()
    facts = facts_in_a_graph("tanh", loss, lambda prediction: tf.reshape(prediction, [-1, 1]))
    assert (facts.head, facts.head_width) == ("tanh", 1)


def test_an_eager_tensor_does_not_say_what_made_it():
    assert loss_facts(keras.losses.MeanSquaredError(), tf.zeros((2, 3))).head is None


@pytest.mark.parametrize(
    ("name", "takes_logits", "recorded"),
    [
        ("sparse_categorical_crossentropy", True, "cross_entropy"),
        ("sparse_categorical_crossentropy", False, "sparse_categorical_crossentropy"),
        ("binary_crossentropy", True, "binary_cross_entropy_with_logits"),
        ("mean_squared_error", False, "mse_loss"),
        ("own_loss", False, "own_loss"),
    ],
)
def test_a_loss_has_one_name_in_training_and_in_evaluation(name, takes_logits, recorded):
    assert recorded_name(name, takes_logits) == recorded
