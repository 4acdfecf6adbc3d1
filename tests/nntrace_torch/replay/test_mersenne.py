"""The state of PyTorch's generator some draws ago is found exactly."""

import pytest
import torch
from nntrace_torch.replay.mersenne import cpu_state, draws_between, stepped_back


@pytest.fixture(autouse=True)
def _own_random_numbers():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        yield


def drawn(count):
    return torch.empty(count, dtype=torch.int32).random_()


@pytest.mark.parametrize("earlier", [0, 1, 5, 623, 624, 625, 2000])
@pytest.mark.parametrize("draws", [0, 1, 7, 623, 624, 625, 1300])
def test_stepping_back_gives_the_same_numbers_again(earlier, draws):
    drawn(earlier)
    before = cpu_state()
    numbers = drawn(draws)
    after = cpu_state()
    assert draws_between(before, after) == draws
    torch.set_rng_state(torch.frombuffer(bytearray(stepped_back(after, draws)), dtype=torch.uint8))
    assert torch.equal(drawn(draws), numbers)
    assert torch.equal(torch.get_rng_state()[:5016], torch.tensor(list(after[:5016])))


def test_masks_of_dropout_come_again():
    module, batch = torch.nn.Dropout(0.5), torch.ones(64, 32)
    before = cpu_state()
    kept = module(batch)
    draws = draws_between(before, after := cpu_state())
    torch.set_rng_state(torch.frombuffer(bytearray(stepped_back(after, draws)), dtype=torch.uint8))
    assert torch.equal(module(batch), kept)


def test_states_of_other_seeds_are_not_connected():
    before = cpu_state()
    torch.manual_seed(4)
    assert draws_between(before, cpu_state()) is None
