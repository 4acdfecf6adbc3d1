import inspect
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from torch_programs import classify, mlp


def payloads(trace, kind):
    return [event.payload for event in trace.events_of(kind)]


def train_over(loader, model=None):
    model = model or mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for (batch,) in loader:
        optimizer.zero_grad()
        functional.cross_entropy(model(batch), torch.arange(len(batch)) % 3).backward()
        optimizer.step()


def test_seeds_set_before_the_first_step_are_recorded(trace_here):
    torch.seed()  # not one that another test has set

    def program():
        torch.manual_seed(17)
        torch.random.manual_seed(18)
        classify(mlp(), torch.randn(6, 4))

    trace = trace_here(program)
    assert [payload["seed"] for payload in payloads(trace, "seed")] == ["17", "18"]
    assert {event.step for event in trace.events_of("seed")} == {0}


@pytest.mark.parametrize(("seed", "found"), [(2**32 - 1, 1), (2**60, 0)])
def test_a_seed_set_before_tracing_began_is_told_from_the_one_that_pytorch_chooses(
    trace_here, seed, found
):
    torch.manual_seed(seed)
    trace = trace_here(lambda: classify(mlp(), torch.randn(6, 4)))
    assert [payload["seed"] for payload in payloads(trace, "seed")] == [str(seed)] * found


def test_a_program_that_seeds_without_end_before_it_trains_is_no_memory_leak(trace_here):
    def program():
        for seed in range(5000):
            torch.manual_seed(seed)
        classify(mlp(), torch.randn(6, 4))

    assert 1 <= len(payloads(trace_here(program), "seed")) <= 100


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


def test_a_mode_is_recorded_when_it_changes(trace_here):
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))

    def program():
        classify(model, torch.randn(6, 4), steps=3)
        model[2].eval()
        classify(model, torch.randn(6, 4), steps=2)
        model.eval()
        classify(model, torch.randn(6, 4), steps=2)

    trace = trace_here(program)
    assert [
        (e.step, e.payload["training"], e.payload["dropout_active"], e.payload["norm_active"])
        for e in trace.events_of("mode")
    ] == [(0, True, 1, 1), (3, True, 0, 1), (5, False, 0, 0)]


@pytest.mark.parametrize(("batches", "counted"), [(0, 0), (6, 0), (7, 1)])
def test_norms_that_bring_statistics_of_an_earlier_training_are_counted(
    trace_here, batches, counted
):
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    with torch.no_grad():
        for _ in range(batches):
            model(torch.randn(6, 4))

    trace = trace_here(lambda: classify(model, torch.randn(6, 4), steps=2))
    assert payloads(trace, "mode")[0]["norm_trained"] == counted


def test_an_optimizer_is_announced_with_its_settings_and_its_line(trace_here):
    model = mlp()
    line = inspect.currentframe().f_lineno + 3

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
        classify(model, torch.randn(6, 4), optimizer=optimizer)

    (payload,) = payloads(trace_here(program), "optimizer")
    assert payload["name"] == payload["class"] == "SGD"
    assert payload["parameters"] == 4
    assert (payload["lr"], payload["momentum"], payload["weight_decay"]) == (0.1, 0.9, 0.01)
    assert payload["file"] == __file__
    assert payload["line"] == line


def test_the_two_averages_of_adam_are_among_its_settings(trace_here):
    model = mlp()

    def program():
        optimizer = torch.optim.AdamW(model.parameters(), betas=(0.5, 0.9))
        classify(model, torch.randn(6, 4), optimizer=optimizer)

    (payload,) = payloads(trace_here(program), "optimizer")
    assert (payload["beta1"], payload["beta2"]) == (0.5, 0.9)


def test_the_first_nonfinite_value_of_a_site_is_recorded_once(trace_here):
    model = mlp()

    def program():
        inputs = torch.randn(6, 4)
        classify(model, inputs, steps=2)
        with torch.no_grad():
            model[0].weight[0, 0] = float("nan")
        classify(model, inputs, steps=2)

    events = trace_here(program).events_of("nonfinite")
    steps = {(event.payload["role"], event.payload["site"]): event.step for event in events}
    assert len(steps) == len(events)
    for site in (("param", "0.weight"), ("activation", "0"), ("output", "cross_entropy")):
        assert steps[site] == 2


def test_rank_start_and_stop_frame_the_run(trace_here):
    trace = trace_here(lambda: classify(mlp(), torch.randn(6, 4), steps=4), every=2)
    (start,), (stop,) = payloads(trace, "rank_start"), payloads(trace, "rank_stop")
    assert start["rank"] == 0
    assert start["world_size"] == 1
    starved = stop.pop("starved")
    assert starved is None or 0.0 <= starved <= 1.0
    assert stop == {"steps": 4, "sampled_steps": 2, "status": "finished", "error": None}


@pytest.mark.parametrize("workers", [0, 2])
def test_forked_workers_record_nothing(trace_here, workers):
    class Seeding(TensorDataset):
        def __getitem__(self, index):
            torch.manual_seed(1)
            return super().__getitem__(index)

    loader = DataLoader(Seeding(torch.randn(8, 4)), batch_size=4, num_workers=workers)
    torch.seed()  # not one that another test has set
    seeds = payloads(trace_here(lambda: train_over(loader)), "seed")
    assert (len(seeds) > 0) == (workers == 0)
