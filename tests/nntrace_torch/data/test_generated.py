"""The range of a generator is compared with the real examples of its discriminator."""

import pytest
import torch
from torch import nn
from tracing import payloads


def told(trace_here, last, real, *, one_optimizer=False):
    def train():
        maker = nn.Sequential(nn.Linear(4, 6), last)
        judge = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))
        criterion = nn.BCEWithLogitsLoss()
        ones, zeros = torch.ones(16, 1), torch.zeros(16, 1)
        if one_optimizer:
            groups = [[*maker.parameters(), *judge.parameters()]] * 2
        else:
            groups = [list(maker.parameters()), list(judge.parameters())]
        first = torch.optim.SGD(groups[0], lr=0.01)
        second = first if one_optimizer else torch.optim.SGD(groups[1], lr=0.01)
        for _ in range(10):
            made = maker(torch.randn(16, 4))
            second.zero_grad()
            (criterion(judge(real()), ones) + criterion(judge(made.detach()), zeros)).backward()
            second.step()
            first.zero_grad()
            criterion(judge(made), ones).backward()
            first.step()

    return payloads(trace_here(train), "generated")


def standard():
    return torch.randn(16, 6)


def unit():
    return torch.rand(16, 6)


@pytest.mark.parametrize(
    ("last", "real", "is_beyond"),
    [
        (nn.Tanh(), standard, True),
        (nn.Tanh(), unit, False),
        (nn.Sigmoid(), unit, False),
        (nn.Sigmoid(), standard, True),
    ],
)
def test_the_share_of_real_values_beyond_the_range_is_told(trace_here, last, real, is_beyond):
    [payload] = told(trace_here, last, real)
    assert payload["head"] == type(last).__name__.lower()
    assert (payload["beyond"] > 0.1) == is_beyond


def test_a_generator_without_bounds_can_make_everything(trace_here):
    assert told(trace_here, nn.Identity(), standard) == []


def test_what_one_optimizer_trains_is_no_game_of_two(trace_here):
    assert told(trace_here, nn.Tanh(), standard, one_optimizer=True) == []


def test_batches_that_are_not_finite_have_no_range(trace_here):
    assert told(trace_here, nn.Tanh(), lambda: standard().log()) == []


@pytest.mark.parametrize(("real", "told"), [(unit, 0.0), (standard, 0.3)])
def test_what_the_generator_beside_it_is_given_is_not_the_discriminators(trace_here, real, told):
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.maker = nn.Sequential(nn.Linear(6, 6), nn.Tanh())
            self.judge = nn.Linear(6, 1)

    def train():
        both = Both()
        first = torch.optim.SGD(both.maker.parameters(), lr=0.01)
        second = torch.optim.SGD(both.judge.parameters(), lr=0.01)
        for _ in range(20):
            made = both.maker(torch.randn(16, 6))
            second.zero_grad()
            (both.judge(made.detach()).mean() - both.judge(real()).mean()).backward()
            second.step()
            first.zero_grad()
            (-both.judge(made).mean()).backward()
            first.step()

    [payload] = payloads(trace_here(train), "generated")
    assert payload["model"] == "judge"
    assert payload["beyond"] == pytest.approx(told, abs=0.1)
