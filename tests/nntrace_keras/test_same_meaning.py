"""The same network on the same data says the same, whether PyTorch or Keras trains it."""

import keras
import numpy as np
import pytest
import torch
from keras import layers
from torch import nn

from nntrace.diagnosis import diagnose
from nntrace.schema import STATISTICS, Role

STEPS = 12
CHANNELS_LAST = (0, 2, 3, 1)


def images():
    random = np.random.default_rng(0)
    return random.normal(size=(16, 2, 6, 6)).astype("float32"), np.arange(16) % 3


def torch_net(kind):
    torch.manual_seed(0)
    if kind == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(72, 8), nn.ReLU(), nn.Linear(8, 3))
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), pool, nn.Linear(4, 3))


def keras_net(kind, weights):
    if kind == "mlp":
        start, parts = layers.Input((2, 6, 6)), [layers.Flatten(), layers.Dense(8, name="1")]
    else:
        start, parts = layers.Input((6, 6, 2)), [layers.Conv2D(4, 3, name="1")]
    parts.append(layers.ReLU())
    if kind == "cnn":
        parts.append(layers.GlobalAveragePooling2D())
    model = keras.Sequential([start, *parts, layers.Dense(3, name="2")], name="net")
    first, second = model.get_layer("1"), model.get_layer("2")
    order = (2, 3, 1, 0) if kind == "cnn" else (1, 0)
    first.set_weights([weights[0].transpose(order), weights[1]])
    second.set_weights([weights[2].T, weights[3]])
    return model


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_every_statistic_and_every_verdict_is_the_same(kind, trace_here, trace_keras):
    inputs, labels = images()
    net = torch_net(kind)
    weights = [parameter.detach().numpy().copy() for parameter in net.parameters()]

    def with_torch():
        torch.manual_seed(0)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(torch.tensor(inputs)), torch.tensor(labels))
            loss.backward()
            optimizer.step()

    def with_keras():
        keras.utils.set_random_seed(0)
        model = keras_net(kind, weights)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1), loss, jit_compile=False)
        seen = inputs.transpose(CHANNELS_LAST) if kind == "cnn" else inputs
        model.fit(seen, labels, batch_size=16, epochs=STEPS, shuffle=False, verbose=0)

    one, other = trace_here(with_torch), trace_keras(with_keras)
    np.testing.assert_allclose(other.steps.loss, one.steps.loss, rtol=1e-4)
    np.testing.assert_allclose(other.steps.grad_norm, one.steps.grad_norm, rtol=1e-3)
    ends = ("1", "3") if kind == "mlp" else ("0", "3")
    for name, path in zip(ends, ("net/1", "net/2"), strict=True):
        for role in (Role.ACTIVATION, Role.ACTIVATION_GRAD):
            compare(one, other, role, name, path)
        for role in (Role.PARAM, Role.PARAM_GRAD, Role.UPDATE):
            compare(one, other, role, f"{name}.weight", f"{path}/kernel")
            compare(one, other, role, f"{name}.bias", f"{path}/bias")
    compare(one, other, Role.INPUT, "input.0", "input.0")
    compare(one, other, Role.OUTPUT, "cross_entropy", "cross_entropy")
    compare(one, other, Role.TARGET, "cross_entropy", "cross_entropy")
    verdicts = [{finding.code for finding in diagnose(trace).findings} for trace in (one, other)]
    assert verdicts[0] == verdicts[1]


def compare(one, other, role, name, path):
    ours, theirs = one.site(name, role), other.site(path, role)
    assert ours is not None
    assert theirs is not None, path
    assert sorted(ours.shape) == sorted(theirs.shape)
    assert (ours.fan_in, ours.fan_out) == (theirs.fan_in, theirs.fan_out)
    for statistic in STATISTICS:
        expected = one.series(role, statistic, ours)
        measured = other.series(role, statistic, theirs)
        scale = np.nanmax(np.abs(expected)) if np.isfinite(expected).any() else 0.0
        np.testing.assert_allclose(
            measured, expected, rtol=5e-3, atol=1e-4 * scale + 1e-6, err_msg=f"{path} {statistic}"
        )
