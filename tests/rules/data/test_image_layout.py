import numpy as np
import pytest
from rules.builders import event, findings, site, skip_reasons, trace_of

from nntrace.trace import Trace


def table(**values):
    return site("input.0", "input", **{"shape": [32, 6], "numel": 192, **values})


def images(shape, module="Conv2d", values=None, events=(), kernel="conv.weight"):
    sites = [
        site("input.0", "input", shape=shape, mean=0.0),
        site("conv", "activation", module_type=module, shape=[shape[0], 8, 4, 4]),
        site(kernel, "param", module_type=module, parent="conv", shape=[8, shape[1], 3, 3]),
    ]
    trace = trace_of(steps=3, sites=sites, events=events)
    if values is None:
        return trace
    streams = ("sites", "steps", "stats", "data", "events")
    rows = {name: trace.table(name).to_pylist() for name in streams}
    kept = {"step": 0, "role": "input", "path": "input.0", "shape": shape, "dtype": "float32"}
    kept |= {"kept_shape": list(values.shape), "stride": 1, "values": values.ravel().tolist()}
    return Trace.from_rows(**rows, tensors=[kept])


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ([16, 28, 28, 1], 1),
        ([16, 1, 28, 28], 0),
        ([16, 3, 32, 32], 0),
        ([16, 64, 64, 3], 1),
        ([16, 64, 8, 4], 0),
        ([16, 4, 4, 4], 0),
    ],
)
def test_channels_at_the_end_are_a_warning_for_a_convolution(shape, found):
    assert len(findings("DAT18", images(shape))) == found


@pytest.mark.parametrize(
    ("shape", "found"),
    [([16, 3, 32, 32], 1), ([16, 32, 32, 3], 0), ([16, 3, 40, 32], 0), ([16, 1, 7, 7], 0)],
)
def test_channels_in_front_are_a_warning_for_a_convolution_of_keras(shape, found):
    trace = images(shape, module="Conv2D", kernel="conv/kernel")
    assert len(findings("DAT18", trace)) == found


def smooth(channels, size=24):
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(4, channels, size, size))
    return steps.cumsum(axis=2).cumsum(axis=3)


def test_channels_moved_by_a_reshape_are_a_warning():
    pictures = smooth(3)
    pictures += 40.0 * np.arange(3)[:, None, None]
    scrambled = np.ascontiguousarray(pictures.transpose(0, 2, 3, 1)).reshape(pictures.shape)
    assert findings("DAT18", images([4, 3, 24, 24], values=scrambled))
    assert findings("DAT18", images([4, 3, 24, 24], values=pictures)) == []


def test_images_without_structure_are_not_accused():
    noise = np.random.default_rng(0).normal(size=(4, 3, 24, 24))
    assert findings("DAT18", images([4, 3, 24, 24], values=noise)) == []


@pytest.mark.parametrize(("shape", "found"), [([9, 3, 32, 48], 1), ([9, 3, 48, 32], 0)])
def test_height_and_width_exchanged_in_evaluation_are_a_warning(shape, found):
    one = event("evaluation", 2, model="", group=0, input_shape=shape)
    assert len(findings("DAT18", images([16, 3, 48, 32], events=[one]))) == found


def test_a_model_of_vectors_has_no_channels():
    assert skip_reasons("DAT18", trace_of(steps=2, sites=[table()]))
