"""A loader is announced with its facts, whatever it reads, and its workers record nothing."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset, SubsetRandomSampler, TensorDataset
from torch_programs import mlp
from tracing import payloads


def train_over(loader, model=None):
    model = model or mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for (batch,) in loader:
        optimizer.zero_grad()
        functional.cross_entropy(model(batch), torch.arange(len(batch)) % 3).backward()
        optimizer.step()


def test_a_loader_is_announced_once_with_its_facts(trace_here):
    loader = DataLoader(TensorDataset(torch.randn(20, 4)), batch_size=8, shuffle=True)

    def program():
        train_over(loader)
        train_over(loader)

    trace = trace_here(program)
    (payload,) = payloads(trace, "loader")
    assert payload["dataset_size"] == 20
    assert payload["batch_size"] == 8
    assert payload["batches"] == 3
    assert payload["shuffle"] is True
    assert payload["workers"] == 0
    assert (trace.steps.data_wait_ns[:3] > 0).all()
    assert (trace.steps.data_wait_ns <= trace.steps.duration_ns).all()


def test_the_data_set_of_a_loader_is_the_part_whose_indices_its_sampler_has(trace_here):
    data, part = TensorDataset(torch.randn(20, 4)), SubsetRandomSampler(range(12))
    trace = trace_here(lambda: train_over(DataLoader(data, batch_size=4, sampler=part)))
    assert payloads(trace, "loader")[0]["dataset_size"] == 12


class Stream(IterableDataset):
    """Yields more than its length says."""

    def __iter__(self):
        return iter([(torch.randn(4),) for _ in range(12)])

    def __len__(self):
        return 2


def test_a_stream_longer_than_its_length_warns_no_more_than_without_trace(trace_here):
    def batches():
        return [len(batch) for (batch,) in DataLoader(Stream(), batch_size=4)]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert batches() == [4, 4, 4]
        trace = trace_here(lambda: train_over(DataLoader(Stream(), batch_size=4)))
    assert len(trace.steps) == 3
    assert payloads(trace, "loader")[0]["dataset_size"] == 2


def test_a_dataset_whose_length_raises_does_not_disturb(trace_here):
    class Odd(Stream):
        def __len__(self):
            raise KeyError("no idea")

    trace = trace_here(lambda: train_over(DataLoader(Odd(), batch_size=4)))
    assert payloads(trace, "loader")[0]["dataset_size"] is None


@pytest.mark.parametrize("workers", [0, 2])
def test_forked_workers_record_nothing(trace_here, workers):
    class Seeding(TensorDataset):
        def __getitem__(self, index):
            torch.manual_seed(1)
            return super().__getitem__(index)

    method = "fork" if workers else None  # Python 3.14 would pickle what is defined in here
    loader = DataLoader(
        Seeding(torch.randn(8, 4)),
        batch_size=4,
        num_workers=workers,
        multiprocessing_context=method,
    )
    torch.seed()  # not one that another test has set
    seeds = payloads(trace_here(lambda: train_over(loader)), "seed")
    assert (len(seeds) > 0) == (workers == 0)


@pytest.mark.parametrize(
    ("mode", "gradients", "backward", "found"),
    [
        (True, True, False, True),
        (False, True, False, False),
        (True, False, False, False),
        (True, True, True, False),
    ],
)
def test_a_pass_of_a_model_in_training_mode_is_for_nothing_without_backward(
    trace_here, mode, gradients, backward, found
):
    held_out = DataLoader(TensorDataset(torch.randn(6, 4)), batch_size=3)

    def train():
        model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
        train_over(DataLoader(TensorDataset(torch.randn(8, 4)), batch_size=2), model)
        model.train(mode)
        with torch.set_grad_enabled(gradients):
            for (batch,) in held_out:
                loss = model(batch).mean()
                if backward:
                    loss.backward()

    passes = payloads(trace_here(train), "epoch")
    assert [(one["steps"] > 0, one["for_nothing"]) for one in passes] == [
        (True, False),
        (False, found),
    ]
