"""The elements that a graph reads are those the host takes apart, whatever shapes TensorFlow knows.

The layers decide what TensorFlow knows: attention leaves the gradients of its kernels without a
static shape, a layer of one's own its outputs.
"""

import numpy as np
import pytest
import tensorflow as tf
from nntrace_keras import gather
from nntrace_keras.elements import flat_plan


@pytest.mark.parametrize("shape", [(2, 3), (100, 61)])
@pytest.mark.parametrize("known", [True, False])
def test_a_parameter_and_a_gradient_without_a_static_shape_give_the_same_elements(shape, known):
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    plan = flat_plan(shape)
    signature = tf.TensorSpec(shape if known else (None, shape[1]), tf.float32)
    read = tf.function(lambda tensor: gather.flat(plan, tensor), input_signature=[signature])
    expected = values.reshape(-1)[:: plan.step][: plan.size]
    assert read(tf.constant(values)).numpy().tolist() == expected.tolist()
