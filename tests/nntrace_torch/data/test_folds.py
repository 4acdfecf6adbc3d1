"""Validation examples that an earlier training of the run had are noticed by their indices."""

import pytest
import torch
from nntrace_torch.data import folds
from nntrace_torch.data.folds import part_of
from torch.nn import functional
from torch.utils.data import DataLoader, Subset, SubsetRandomSampler, TensorDataset
from torch_programs import mlp
from tracing import payloads

DATA = TensorDataset(torch.randn(48, 4))
FIRST, SECOND = range(24), range(24, 48)


def by_subset(data, indices):
    return DataLoader(Subset(data, list(indices)), batch_size=8)


def by_sampler(data, indices):
    return DataLoader(data, batch_size=8, sampler=SubsetRandomSampler(list(indices)))


def by_both(data, indices):
    shifted = Subset(data, list(reversed(range(48))))
    return by_sampler(shifted, [47 - index for index in indices])


def told(trace_here, *passes, loader=by_subset):
    """Of passes over (data, indices), those that are `trained` on."""
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def program():
        for data, indices, trained in passes:
            for (batch,) in loader(data, indices):
                with torch.set_grad_enabled(trained):
                    loss = functional.cross_entropy(model(batch), torch.arange(len(batch)) % 3)
                if trained:
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()

    return payloads(trace_here(program), "trained_on")


@pytest.mark.parametrize("loader", [by_subset, by_sampler, by_both])
def test_a_fold_that_was_trained_on_before_is_told_at_its_validation(trace_here, loader):
    passes = [(DATA, FIRST, True), (DATA, SECOND, True), (DATA, range(12), False)]
    [payload] = told(trace_here, *passes, loader=loader)
    assert (payload["examples"], payload["before"], payload["since"]) == (12, 12, 3)


def test_no_more_indices_are_kept_than_may_be(trace_here, monkeypatch):
    passes = [(DATA, FIRST, True), (DATA, SECOND, True), (DATA, range(12), False)]
    monkeypatch.setattr(folds, "_MOST_BEFORE", 23)
    assert told(trace_here, *passes) == []


def test_what_is_both_trained_on_now_and_evaluated_measures_the_training(trace_here):
    passes = [(DATA, FIRST, True), (DATA, SECOND, True), (DATA, range(20, 40), False)]
    assert told(trace_here, *passes) == []


def test_a_whole_earlier_part_is_measured_again_for_what_is_forgotten(trace_here):
    passes = [(DATA, FIRST, True), (DATA, SECOND, True), (DATA, FIRST, False)]
    assert told(trace_here, *passes) == []


def test_what_is_trained_on_only_later_was_held_out(trace_here):
    passes = [(DATA, FIRST, True), (DATA, range(30, 48), False), (DATA, SECOND, True)]
    assert told(trace_here, *passes) == []


def test_the_same_indices_of_other_data_are_other_examples(trace_here):
    other = TensorDataset(torch.randn(48, 4))
    passes = [(DATA, FIRST, True), (DATA, SECOND, True), (other, range(12), False)]
    assert told(trace_here, *passes) == []
    passes = [(other, FIRST, True), (DATA, SECOND, True), (DATA, range(12), False)]
    assert told(trace_here, *passes) == []


def test_a_part_of_a_list_is_passed_over(trace_here):
    data = [(torch.ones(4),)] * 48
    passes = [(data, FIRST, True), (data, SECOND, True), (data, range(12), False)]
    assert told(trace_here, *passes) == []


@pytest.mark.parametrize("indices", [[[0], [1, 2]], ["a", "b"], [0.5, 1.5], [None]])
def test_indices_that_are_no_numbers_are_passed_over(indices):
    loader = DataLoader(Subset(DATA, indices), batch_size=8)
    assert part_of(loader) is None
    assert part_of(DataLoader(Subset(Subset(DATA, indices), [1, 0]), batch_size=8)) is None
