import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nntrace_torch.samples.plans import MAX_UNITS, activation_plan, fixed_plan, meets_all

from nntrace.recorder import RUN, fixed_runs

LIMITS = st.sampled_from([1, 7, 64, 512, 4096])
TURNS = st.integers(0, 10_000)
SHAPES = st.lists(st.integers(1, 9), min_size=1, max_size=5).map(tuple)


def numbered(shape, order=None):
    """A tensor whose values are its logical positions, its axes laid out in memory by `order`."""
    tensor = torch.arange(math.prod(shape)).reshape(shape)
    if order is None:
        return tensor
    inverse = [order.index(axis) for axis in range(len(shape))]
    return tensor.permute(order).contiguous().permute(inverse)


@st.composite
def tensors(draw):
    shape = draw(SHAPES)
    tensor = numbered(shape, draw(st.permutations(range(len(shape)))))
    axis = draw(st.integers(0, len(shape) - 1))
    start = draw(st.integers(0, shape[axis] - 1))
    return tensor.narrow(axis, start, shape[axis] - start)  # holes, and an offset


def taken(tensor, unit_axis, limit, turn, staggered=False):
    strides = tensor.stride()
    plan = activation_plan(tuple(tensor.shape), strides, unit_axis, limit, staggered=staggered)
    return plan, plan.view(tensor, turn)


@pytest.mark.parametrize("position", [0, -1])
@pytest.mark.parametrize(
    "shape",
    [(16, 65, 64), (16, 65, 128), (256, 65, 16), (3, 65, 512), (8, 197, 384), (2, 197, 768)],
)
def test_a_gradient_that_only_one_token_has_is_seen_in_every_sample(shape, position):
    gradient = torch.zeros(shape)
    gradient[:, position] = 1.0
    for turn in range(12):
        _, view = taken(gradient, -1, 4096, turn, staggered=True)
        assert view.any()


@pytest.mark.parametrize("shape", [(16, 65, 128), (8, 256, 128), (2, 512, 768)])
def test_gradients_of_positions_in_the_middle_come_up_from_turn_to_turn(shape):
    tensor = torch.arange(shape[1]).view(1, -1, 1).expand(shape).contiguous()
    seen = [set(taken(tensor, -1, 4096, n, staggered=True)[1].flatten().tolist()) for n in range(8)]
    assert len(set.union(*seen)) > 2 * len(seen[0])


def test_the_examples_of_a_gradient_are_those_of_its_layout():
    shape = (64, 65, 32)
    plan, view = taken(numbered(shape), -1, 4096, 3, staggered=True)
    layout = plan.layout
    grid = (layout.examples, layout.positions, layout.units)
    examples, _, units = (c.reshape(grid) for c in np.unravel_index(view.flatten().numpy(), shape))
    assert (examples == examples[:, :1, :1]).all()
    assert len(set(examples[:, 0, 0])) == layout.examples
    assert (units == np.arange(32)).all()


@given(tensors(), st.sampled_from([1, -1]), LIMITS, TURNS, st.booleans())
def test_every_sampled_element_is_an_element_of_the_tensor(
    tensor, unit_axis, limit, turn, staggered
):
    plan, view = taken(tensor, unit_axis if tensor.dim() > 1 else -1, limit, turn, staggered)
    values = view.flatten().tolist()
    assert len(values) == plan.layout.size <= limit
    assert len(set(values)) == len(values)
    assert set(values) <= set(tensor.flatten().tolist())


@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=5).map(tuple),
    st.sampled_from([1, -1]),
    st.sampled_from([16, 64, 4096]),
    TURNS,
)
def test_all_units_are_sampled_and_stand_in_the_last_axis(shape, unit_axis, limit, turn):
    plan, view = taken(numbered(shape), unit_axis, limit, turn)
    coordinates = np.unravel_index(view.flatten().numpy(), shape)
    layout = plan.layout
    grid = (layout.examples, layout.positions, layout.units)
    units = coordinates[unit_axis].reshape(grid)
    examples = coordinates[0].reshape(grid)
    assert np.array_equal(units, np.broadcast_to(np.arange(shape[unit_axis]), grid))
    assert (examples == examples[:, :1, :1]).all()
    assert len(set(examples[:, 0, 0])) == layout.examples


@given(SHAPES, TURNS)
def test_a_small_tensor_is_sampled_whole(shape, turn):
    tensor = numbered(shape)
    if tensor.numel() <= 512:
        _, view = taken(tensor, -1, 4096, turn)
        assert sorted(view.flatten().tolist()) == list(range(tensor.numel()))


@given(st.integers(1, 6), st.integers(1, 6), LIMITS, TURNS)
def test_an_expanded_tensor_stays_within_its_few_elements(rows, units, limit, turn):
    tensor = torch.arange(units).expand(rows, units)
    _, view = taken(tensor, -1, limit, turn)
    assert set(view.flatten().tolist()) <= set(range(units))


def test_a_channels_last_image_has_its_channels_as_units():
    tensor = numbered((2, 3, 4, 5)).contiguous(memory_format=torch.channels_last)
    plan, view = taken(tensor, 1, 4096, 3)
    channels = view.flatten().numpy() // 20 % 3
    assert plan.layout.units == 3
    assert np.array_equal(channels.reshape(-1, 3), np.tile(np.arange(3), (40, 1)))


def test_a_batch_of_one_is_sampled():
    plan, view = taken(numbered((1, 3, 8, 8)), 1, 96, 5)
    assert plan.layout.examples == 1
    assert len(set(view.flatten().tolist())) == plan.layout.size


@pytest.mark.parametrize("shape", [(64, 1, 28, 28), (16, 8, 40, 40), (8, 300, 16)])
def test_a_sample_is_spread_over_the_whole_picture_and_the_whole_sequence(shape):
    axes = range(1, len(shape) - 1) if len(shape) == 3 else (2, 3)
    for axis in axes:
        place = torch.arange(shape[axis], dtype=torch.float32)
        across = [1] * len(shape)
        across[axis] = -1
        tensor = place.view(across).expand(shape).contiguous()
        plan = activation_plan(shape, tensor.stride(), 1 if len(shape) == 4 else 2, 2048)
        for turn in range(20):
            seen = plan.view(tensor, turn)
            assert seen.min() < shape[axis] / 2 <= seen.max()


def test_offsets_turn_so_that_every_position_is_seen_sooner_or_later():
    tensor = numbered((4, 2, 16, 16))
    seen = {
        value for turn in range(400) for value in taken(tensor, 1, 64, turn)[1].flatten().tolist()
    }
    assert len(seen) > 0.9 * tensor.numel()


def test_at_most_1024_units_are_taken_from_a_wide_layer():
    plan, _ = taken(torch.zeros(8, 5000), -1, 4096, 0)
    assert plan.layout.units == MAX_UNITS


@given(SHAPES, st.data(), st.sampled_from([8, 64, 512, 4096]))
def test_a_fixed_sample_is_distinct_elements_of_the_tensor(shape, data, limit):
    tensor = numbered(shape, data.draw(st.permutations(range(len(shape)))))
    plan = fixed_plan(tuple(tensor.shape), tensor.stride(), limit)
    assert plan is not None
    values = plan.view(tensor, 0).flatten().tolist()
    assert len(set(values)) == len(values) == plan.numel <= max(limit, 8)
    assert plan.numel == tensor.numel() or tensor.numel() > limit
    assert set(values) <= set(range(tensor.numel()))


@given(st.integers(2, 5), st.integers(2, 5))
def test_a_tensor_with_holes_has_no_fixed_plan(rows, columns):
    holed = torch.zeros(rows, 2 * columns)[:, ::2]
    expanded = torch.zeros(columns).expand(rows, columns)
    for tensor in (holed, expanded):
        assert fixed_plan(tuple(tensor.shape), tensor.stride(), 4096) is None


@pytest.mark.parametrize("shape", [(256, 256), (100, 61), (96, 90), (1024, 27), (64, 32, 3, 3)])
def test_a_fixed_sample_favours_no_row_and_no_column(shape):
    plan, counts = counts_of(shape, 4096)
    for count, size in zip(counts, shape, strict=True):
        usual = plan.numel / size
        assert (abs(count - usual) <= max(0.25 * usual, 8)).all()


@pytest.mark.parametrize("shape", [(4100,), (5001,), (8200,), (100, 61), (768, 256), (40000, 3)])
def test_a_fixed_sample_goes_to_the_end_of_the_tensor(shape):
    plan = fixed_plan(shape, torch.empty(shape).stride(), 4096)
    distance = plan.strides[0][0]
    places = plan.view(numbered(shape), 0)
    assert math.prod(shape) - int(places.max()) <= distance + 8
    assert plan.numel >= 1500


@given(st.lists(st.integers(1, 300), min_size=1, max_size=3).map(tuple))
def test_a_fixed_sample_is_known_by_the_number_of_its_elements(shape):
    if math.prod(shape) > 512:
        runs, step = fixed_runs(shape, 512)
        assert fixed_runs(shape, runs * RUN) == (runs, step)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((256, 256), True), ((256, 1024), True), ((1024, 256), False), ((6000, 3), False)],
)
def test_a_fixed_sample_says_whether_it_has_elements_of_every_row_and_column(shape, expected):
    _, counts = counts_of(shape, 4096)
    assert meets_all(shape, torch.empty(shape).stride(), 4096) is expected
    assert all(count.all() for count in counts[:2]) is expected


def counts_of(shape, limit):
    """A fixed plan, and how many elements it has of every place of each axis."""
    plan = fixed_plan(shape, torch.empty(shape).stride(), limit)
    places = np.unravel_index(plan.view(numbered(shape), 0).flatten().numpy(), shape)
    return plan, [np.bincount(at, minlength=n) for at, n in zip(places, shape, strict=True)]
