"""The elements that a graph reads are those the host takes apart, whatever shapes TensorFlow knows.

The layers decide what TensorFlow knows: attention leaves the gradients of its kernels without a
static shape, a layer of one's own its outputs.
"""

import numpy as np
import pytest
import tensorflow as tf
from nntrace_keras.samples import gather
from nntrace_keras.samples.elements import (
    SAMPLE_LIMIT,
    examples_plan,
    flat_plan,
    phases,
    places,
    unpacked,
)

from nntrace.recorder import RUN, fixed_runs


@pytest.mark.parametrize("shape", [(2, 3), (100, 61), (97, 512)])
@pytest.mark.parametrize("known", [True, False])
def test_a_parameter_and_a_gradient_without_a_static_shape_give_the_same_elements(shape, known):
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    plan = flat_plan(shape)
    signature = tf.TensorSpec(shape if known else (None, shape[1]), tf.float32)
    read = tf.function(lambda tensor: gather.flat(plan, tensor), input_signature=[signature])
    expected = values.reshape(-1)
    if values.size > SAMPLE_LIMIT:  # the elements that PyTorch's are sampled at, too
        runs, step = fixed_runs(shape, SAMPLE_LIMIT)
        expected = np.concatenate([expected[n * step : n * step + RUN] for n in range(runs)])
    assert plan.size == len(expected)
    assert read(tf.constant(values)).numpy().tolist() == expected.tolist()
    assert plan.read(values).tolist() == expected.tolist()


@pytest.mark.parametrize("known", ["shape", "batch unknown", "lengths unknown", "nothing"])
@pytest.mark.parametrize(
    ("shape", "unit_axis"),
    [((4, 3), -1), ((40, 30, 20, 3), -1), ((9, 5, 70, 80), 1), ((5000,), -1)],
)
def test_many_tensors_at_once_give_the_rows_that_the_host_expects(shape, unit_axis, known):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    units = unit_axis % len(shape) if len(shape) > 1 else None
    seen = {
        "shape": shape,
        "batch unknown": (None, *shape[1:]),
        "lengths unknown": tuple(
            size if axis == units else None for axis, size in enumerate(shape)
        ),
        "nothing": (None, *shape[1:]),
    }[known]
    plan = examples_plan(seen, unit_axis)
    other = examples_plan((None, 7), -1)

    def read(tensor, small, turn):
        tensor = gather.shaped(tensor, seen)
        return gather.examples([other, plan, plan], [small, tensor, tensor], turn)

    spec = tf.TensorSpec(None if known == "nothing" else seen, tf.float32)
    small = tf.TensorSpec((None, 7), tf.float32)
    turn = tf.TensorSpec((), tf.int64)
    sizes, (_, first, again) = tf.function(read, input_signature=[spec, small, turn])(
        values, np.zeros((2, 7), np.float32), 3
    )
    lengths = [float(shape[plan.axes[axis]]) for axis in plan.varying]
    assert sizes.numpy().tolist() == [2.0, *lengths, *lengths]
    rows = values if units is None else np.moveaxis(values, units, -1)
    for axis, (count, phase) in enumerate(zip(plan.counts, phases(3, len(plan.axes)), strict=True)):
        if plan.sizes != plan.counts:
            rows = rows.take(places(count, shape[plan.axes[axis]], phase), axis=axis)
    assert first.numpy().tolist() == rows.reshape(-1).tolist()
    assert again.numpy().tolist() == first.numpy().tolist()


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("examples", [3, 16, 40])
@pytest.mark.parametrize("token", [0, 196])
def test_a_gradient_that_one_token_alone_has_is_seen_at_every_turn(token, examples, known):
    values = np.zeros((examples, 197, 256), np.float32)
    values[:, token] = 1
    shape = values.shape if known else (None, None, 256)
    plan = examples_plan(shape, -1, staggered=True)
    spec = [tf.TensorSpec(shape, tf.float32), tf.TensorSpec((), tf.int64)]
    read = tf.function(lambda t, n: gather.examples([plan], [t], n)[1][0], input_signature=spec)
    for turn in range(8):
        block = read(values, turn).numpy()
        kept, layout = unpacked(plan, block, tuple(values.shape[axis] for axis in plan.axes), turn)
        share = kept.mean()
        assert 0 < share < 0.5
        assert layout.examples <= examples


@pytest.mark.parametrize(
    ("shape", "whole"),
    [
        ((7, 7, 3, 64), True),  # the first layer of a ResNet
        ((3, 3, 64, 64), False),  # no filters over colours
        ((128, 128, 1, 5), False),  # too many elements
        ((1, 1, 4, 4096), False),
    ],
)
def test_filters_over_images_are_read_whole(shape, whole):
    assert (flat_plan(shape).size == np.prod(shape)) == whole


@pytest.mark.parametrize("shape", [(6,), (6, 5), (6, 2, 7)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_an_example_has_the_same_hash_whether_its_shape_is_known_or_not(shape, dtype):
    batch = np.random.default_rng(0).normal(scale=9, size=shape).astype(dtype)

    def hashes(known):
        signature = [tf.TensorSpec(known, tf.as_dtype(dtype))]
        read = tf.function(gather.example_hashes, input_signature=signature, autograph=False)
        return read(batch).numpy().tolist()

    of_known = hashes(shape)
    assert len({tuple(pair) for pair in of_known}) == len(np.unique(batch, axis=0))
    assert of_known == hashes((None, *shape[1:]))
    assert of_known == hashes((None,) * len(shape))
    assert of_known == gather.example_hashes(tf.constant(batch)).numpy().tolist()


def test_parameters_of_one_shape_share_the_places_that_are_read():
    plan = flat_plan((97, 512))
    specs = [tf.TensorSpec((97, 512), tf.float32)] * 3

    def read(*tensors):
        return [gather.flat(plan, tensor) for tensor in tensors]

    graph = tf.function(read, input_signature=specs, autograph=False).get_concrete_function().graph

    types = [operation.type for operation in graph.get_operations()]
    assert types.count("GatherV2") == 3
    assert types.count("Const") == 3  # the flat shape, the places, the axis
