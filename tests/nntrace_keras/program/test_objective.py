"""What stands between a loss and its errors, read off graphs of a few operations, or eagerly."""

import pytest
import tensorflow as tf
from nntrace_keras.graphs.dependence import Dependence
from nntrace_keras.nonfinite.derivatives import Derivatives
from nntrace_keras.program.objective import Term, broadcast
from nntrace_keras.tape import broadcasts


def shapes_in(loss, prediction=(None, 1), target=(None,)):
    """What `broadcast` finds in a loss of predictions that come from a variable."""
    weight = tf.Variable(tf.ones(prediction[1:]))

    @tf.function
    def step(inputs, targets):
        value = loss(targets, inputs * weight)
        found.append(
            broadcast(
                Dependence(tf.compat.v1.get_default_graph(), [weight]),
                Term("other", 1.0, value, is_call=False),
            )
        )
        return value

    found = []
    step.get_concrete_function(tf.TensorSpec(prediction), tf.TensorSpec(target))
    return found[0]


def shapes_eagerly(loss, prediction=(32, 1), target=(32,)):
    """The same, of a loss that is computed eagerly."""
    weight = tf.Variable(tf.ones(prediction[1:]))
    with tf.GradientTape() as tape:
        value = loss(tf.zeros(target), tf.ones(prediction) * weight)
    with Derivatives().kept() as found:
        tape.gradient(value, weight)
    return broadcasts.broadcast(found)


def late_costs_more(target, prediction):
    late = target - prediction
    return tf.reduce_mean(tf.square(tf.where(late > 0, 3.0 * late, late)))


@pytest.mark.parametrize(
    "loss",
    [
        lambda y, p: tf.reduce_mean((y - p) ** 2),
        lambda y, p: tf.reduce_mean(tf.math.squared_difference(p, y)),
        lambda y, p: tf.reduce_sum(tf.abs(p - y)) / 32.0,
        lambda y, p: tf.reduce_mean(tf.maximum(0.9 * (y - p), -0.1 * (y - p))),
        lambda y, p: tf.reduce_mean(tf.math.log(tf.cosh(p - y))),
        lambda y, p: tf.reduce_mean(tf.nn.relu(tf.abs(y - p) - 0.1)),
        late_costs_more,
    ],
)
def test_a_column_minus_a_row_has_an_element_for_each_pair(loss):
    assert shapes_in(loss) == ((None, 1), (None, None))
    assert shapes_in(loss, (32, 1), (32,)) == ((32, 1), (32, 32))
    assert shapes_in(loss, (32,), (32, 1)) == ((32,), (32, 32))
    assert shapes_eagerly(loss) == ((32, 1), (32, 32))
    assert shapes_eagerly(loss, (32,), (32, 1)) == ((32,), (32, 32))


@pytest.mark.parametrize(
    ("prediction", "target"),
    [((32, 1), (32, 1)), ((32, 3), (32, 1)), ((1, 1), (1,)), ((32, 1), (1,)), ((32, 1), ())],
)
def test_shapes_that_are_meant_to_be_compared_are_not(prediction, target):
    for shapes in (shapes_in, shapes_eagerly):
        assert shapes(lambda y, p: tf.reduce_mean((y - p) ** 2), prediction, target) is None


@pytest.mark.parametrize(
    "loss",
    [
        lambda y, p: tf.reduce_mean((p[:, None] - y) ** 2),
        lambda y, p: tf.reduce_mean((tf.expand_dims(p, 1) - y) ** 2),
        lambda y, p: tf.reduce_mean((p[:, None] - p) ** 2),
    ],
)
def test_predictions_that_were_given_an_axis_are_compared_on_purpose(loss):
    assert shapes_in(loss, (None,), (None,)) is None
    assert shapes_eagerly(loss, (32,), (32,)) is None
