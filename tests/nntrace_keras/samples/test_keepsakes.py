"""The first training batch in the trace: what the report shows of it."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from keras_programs import blobs, compiled
from nntrace_keras.samples.keepsakes import Keepsakes
from nntrace_keras.samples.sites import SiteKey

from nntrace.schema import Role


def kept(*tensors, signature=None):
    """What is kept of tensors, read in a graph of this signature."""
    keepsakes = Keepsakes()

    @tf.function(autograph=False, input_signature=signature)
    def packed(*values):
        for number, value in enumerate(values):
            dtype = value.dtype.name
            keepsakes.add(SiteKey(f"input.{number}", Role.INPUT, dtype=dtype), value)
        return keepsakes.pack()

    keepsakes.vector = packed(*tensors)
    return keepsakes.finish().find()


@pytest.mark.parametrize("mode", [{"run_eagerly": True}, {"jit_compile": True}], ids=str)
def test_the_first_batch_is_kept_once_with_images_ids_and_labels(trace_keras, mode):
    images = np.random.default_rng(0).uniform(0, 255, (40, 6, 5, 3)).astype("float32")
    ids = np.arange(40 * 7).reshape(40, 7) + 20_000_000
    _, labels = blobs(40)

    def program():
        keras.utils.set_random_seed(0)
        seen, read = layers.Input((6, 5, 3)), layers.Input((None,), dtype="int32")
        short = layers.Lambda(lambda numbers: numbers % 100)(read)
        words = layers.GlobalAveragePooling1D()(layers.Embedding(100, 4)(short))
        joined = layers.Concatenate()([layers.Flatten()(seen), words])
        model = compiled(keras.Model([seen, read], layers.Dense(3)(joined)), **mode)
        model.fit([images, ids], labels, batch_size=20, shuffle=False, verbose=0)

    found = trace_keras(program).tensors
    assert [(t.step, t.role, t.path, t.shape) for t in found] == [
        (0, "input", "input.0", (20, 6, 5, 3)),
        (0, "input", "input.1", (20, 7)),
        (0, "target", "cross_entropy", (20,)),
    ]
    for tensor, expected in zip(found, (images, ids, labels), strict=True):
        np.testing.assert_array_equal(tensor.values, expected[:16])


@pytest.mark.parametrize("frozen", [False, True])
def test_the_filters_of_the_first_convolution_are_kept_ever_more_rarely(trace_keras, frozen):
    kernels = []

    def program():
        keras.utils.clear_session()
        keras.utils.set_random_seed(0)
        parts = [layers.Input((6, 5, 1)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3)]
        model = compiled(keras.Sequential(parts))
        model.layers[0].trainable = not frozen
        kernels.append(model.layers[0].kernel.numpy())
        _, labels = blobs(60)
        model.fit(np.ones((60, 6, 5, 1)), labels, batch_size=10, verbose=0)

    filters = [t for t in trace_keras(program).tensors if t.role == "param"]
    assert [t.step for t in filters] == [0, 1, 2, 3, 5]
    assert filters[0].path.endswith("conv2d/kernel")
    np.testing.assert_array_equal(filters[0].values, kernels[0].transpose(3, 2, 0, 1))
    assert (filters[0].values == filters[-1].values).all() == frozen


def test_of_large_images_every_nth_row_and_column_is_kept_whatever_the_order_of_axes():
    images = np.arange(2 * 200 * 400 * 3, dtype="float32").reshape(2, 200, 400, 3)
    last, first = kept(images.repeat(8, 0), np.moveaxis(images, -1, 1).repeat(8, 0))
    assert (last.values.shape, last.stride) == ((16, 67, 134, 3), 3)
    np.testing.assert_array_equal(last.values[0], images[0, ::3, ::3])
    assert (first.values.shape, first.stride) == ((16, 3, 67, 134), 3)
    np.testing.assert_array_equal(first.values[0, 2], images[0, ::3, ::3, 2])


@pytest.mark.parametrize("length", [3, 512, 600])
def test_sequences_whose_length_varies_are_kept_from_their_beginning(length):
    signature = [tf.TensorSpec((None, None), tf.int64)]
    ids = np.arange(2 * length).reshape(2, length)
    (tensor,) = kept(ids, signature=signature)
    assert tensor.shape == (2, length)
    np.testing.assert_array_equal(tensor.values, ids[:, :512])


def test_what_is_too_large_even_for_one_example_is_left_out():
    (small,) = kept(np.zeros((2, 1 << 20), "float32"), np.array([True, False]))
    assert small.values.tolist() == [1, 0]


def test_the_vocabulary_of_a_layer_of_the_script_names_the_first_batchs_tokens(
    trace_keras, monkeypatch
):
    words = layers.StringLookup(vocabulary=list("abcde"))
    monkeypatch.setattr(sys.modules["__main__"], "words", words, raising=False)

    def program():
        ids = words(np.array([["a", "e"], ["b", "?"]] * 20))
        parts = [layers.Input((2,), dtype="int64"), layers.Embedding(6, 3), layers.Flatten()]
        model = compiled(keras.Sequential([*parts, layers.Dense(3)]))
        model.fit(ids, np.zeros(40), batch_size=20, shuffle=False, verbose=0)

    (event,) = trace_keras(program).events_of("tokens")
    assert event.payload["tokens"] == {"0": "[UNK]", "1": "a", "2": "b", "5": "e"}
    assert (event.payload["path"], event.payload["source"]) == ("input.0", "words")
