import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
    WeightedRandomSampler,
)
from torch_programs import classify, mlp
from tracing import payloads

DATA = TensorDataset(torch.randn(20, 4))


def train(loader, *, epochs=2, batches=None):
    def program():
        model = mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(epochs):
            for number, (batch,) in enumerate(loader):
                optimizer.zero_grad()
                functional.cross_entropy(model(batch), torch.arange(len(batch)) % 3).backward()
                optimizer.step()
                if number + 1 == batches:
                    break

    return program


def passes(trace):
    return payloads(trace, "epoch")


@pytest.mark.parametrize("workers", [{}, {"num_workers": 1}, {"num_workers": 1, "persistent": 1}])
def test_each_pass_over_a_loader_is_an_epoch(trace_here, workers):
    options = {"num_workers": workers.get("num_workers", 0)}
    if "persistent" in workers:
        options["persistent_workers"] = True
    trace = trace_here(train(DataLoader(DATA, batch_size=8, **options)))
    first, second = passes(trace)
    assert (first["loader"], first["epoch"], second["epoch"]) == (0, 0, 1)
    assert (first["batches"], first["examples"], first["steps"]) == (3, 20, 3)
    assert first["complete"]
    assert first["order"] == second["order"] is not None
    assert [batch.epoch for batch in trace.batches] == [0, 0, 0, 1, 1, 1]


def test_the_line_of_the_first_pass_over_a_loader_is_known(trace_here):
    [loader] = trace_here(train(DataLoader(DATA, batch_size=8))).events_of("loader")
    assert loader.payload["file"] == __file__
    assert loader.payload["line"] == train.__code__.co_firstlineno + 5


def test_a_shuffled_loader_has_another_order_in_each_epoch(trace_here):
    first, second = passes(trace_here(train(DataLoader(DATA, batch_size=8, shuffle=True))))
    assert first["order"] != second["order"]


def test_a_pass_that_is_broken_off_ends_when_the_next_begins(trace_here):
    trace = trace_here(train(DataLoader(DATA, batch_size=8), epochs=3, batches=1))
    assert [(one["complete"], one["batches"]) for one in passes(trace)] == [(False, 1)] * 2


def test_a_pass_that_is_not_asked_for_more_batches_than_there_are_is_complete(trace_here):
    def program():
        loader, model = DataLoader(DATA, batch_size=8), mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            batches = iter(loader)
            for _ in range(len(loader)):  # as Lightning draws them
                (batch,) = next(batches)
                functional.cross_entropy(model(batch), torch.arange(len(batch)) % 3).backward()
                optimizer.step()

    trace = trace_here(program)
    assert [(one["complete"], one["batches"]) for one in passes(trace)] == [(True, 3)] * 3


@pytest.mark.parametrize(
    ("sampler", "name", "replacement"),
    [
        (RandomSampler(DATA, replacement=True, num_samples=20), "RandomSampler", True),
        (WeightedRandomSampler([1.0] * 20, 20), "WeightedRandomSampler", True),
        (SequentialSampler(DATA), "SequentialSampler", False),
    ],
)
def test_a_sampler_says_whether_it_draws_with_replacement(trace_here, sampler, name, replacement):
    trace = trace_here(train(DataLoader(DATA, batch_size=8, sampler=sampler)))
    (event,) = trace.events_of("loader")
    assert (event.payload["sampler"], event.payload["replacement"]) == (name, replacement)
    assert event.payload["weights"] == (20 if name.startswith("Weighted") else None)


def test_a_sampler_of_batches_is_named_where_it_is_the_programs_own(trace_here):
    class EachBatchAnew(BatchSampler):
        pass

    own = EachBatchAnew(SequentialSampler(DATA), 5, drop_last=True)
    (event,) = trace_here(train(DataLoader(DATA, batch_sampler=own))).events_of("loader")
    assert (event.payload["sampler"], event.payload["batch_size"]) == ("EachBatchAnew", None)


def test_a_plain_batch_sampler_tells_what_a_loader_is_told_otherwise(trace_here):
    sampler = BatchSampler(RandomSampler(DATA), 5, drop_last=False)
    (event,) = trace_here(train(DataLoader(DATA, batch_sampler=sampler))).events_of("loader")
    expected = {"sampler": "RandomSampler", "shuffle": True, "batch_size": 5, "dataset_size": 20}
    assert {name: event.payload[name] for name in expected} == expected


def test_data_that_do_not_tell_their_length_are_as_long_as_what_their_sampler_draws_from(
    trace_here,
):
    class Silent(torch.utils.data.Dataset):
        def __getitem__(self, index):
            return DATA[index]

    sampler = BatchSampler(RandomSampler(range(20)), 5, drop_last=False)
    (event,) = trace_here(train(DataLoader(Silent(), batch_sampler=sampler))).events_of("loader")
    assert event.payload["dataset_size"] == 20


def test_a_batch_sampler_of_ones_own_is_followed(trace_here):
    sampler = BatchSampler(SequentialSampler(DATA), 5, drop_last=True)
    first, _ = passes(trace_here(train(DataLoader(DATA, batch_sampler=sampler))))
    assert (first["batches"], first["examples"]) == (4, 20)


def test_a_stream_has_epochs_without_an_order(trace_here):
    class Stream(IterableDataset):
        def __iter__(self):
            return iter([(torch.randn(4),) for _ in range(12)])

    first, _ = passes(trace_here(train(DataLoader(Stream(), batch_size=4))))
    assert (first["batches"], first["examples"], first["order"]) == (3, 12, None)


def test_evaluation_between_two_steps_is_a_pass_without_steps(trace_here):
    loader = DataLoader(DATA, batch_size=8)

    def program():
        train(loader, epochs=1)()
        for _ in DataLoader(DATA, batch_size=10):
            pass

    assert [(one["loader"], one["steps"]) for one in passes(trace_here(program))] == [
        (0, 3),
        (1, 0),
    ]


def test_a_first_batch_fetched_without_gradients_is_an_evaluation(trace_here):
    training, held_out = DataLoader(DATA, batch_size=8), DataLoader(DATA, batch_size=4)

    def program():
        model = mlp()
        for _ in range(3):
            for (batch,) in training:
                classify(model, batch, steps=1)
            with torch.no_grad():
                model(next(iter(held_out))[0])

    short = [one for one in passes(trace_here(program)) if one["loader"] == 1]
    assert [(one["steps"], one["examples"], one["complete"]) for one in short] == [
        (0, 4, False)
    ] * 2


def test_an_evaluation_that_is_not_asked_for_its_end_has_none_of_the_steps_after_it(trace_here):
    training, held_out = DataLoader(DATA, batch_size=8), DataLoader(DATA, batch_size=4)

    def program():
        model = mlp()
        for _ in range(3):
            for (batch,) in training:
                classify(model, batch, steps=1)
            batches = iter(held_out)
            for _ in range(len(held_out)):  # ignite counts them, and fetches them with gradients on
                (batch,) = next(batches)
                with torch.no_grad():
                    model(batch)

    evaluations = [one for one in passes(trace_here(program)) if one["loader"] == 1]
    assert [(one["steps"], one["complete"]) for one in evaluations] == [(0, True)] * 3


def test_two_loaders_in_step_have_all_steps(trace_here):
    first, second = DataLoader(DATA, batch_size=8), DataLoader(DATA, batch_size=8)

    def program():
        model = mlp()
        for _ in range(3):
            for (batch,), _ in zip(first, second, strict=False):
                classify(model, batch, steps=1)

    assert [one["steps"] for one in passes(trace_here(program))] == [3] * 6


def test_a_loader_asked_for_its_first_batch_for_ever_does_not_fill_the_disk(trace_here):
    loader = DataLoader(DATA, batch_size=8)

    def program():
        for _ in range(2000):
            next(iter(loader))
        classify(mlp(), torch.randn(6, 4))

    assert 64 <= len(passes(trace_here(program))) < 150


def test_examples_that_come_back_within_an_epoch_are_counted(trace_here):
    rows = torch.randn(20, 4)
    rows[12] = rows[13] = rows[1]
    trace = trace_here(train(DataLoader(TensorDataset(rows), batch_size=8)))
    assert [batch.duplicate_examples for batch in trace.batches] == [0, 1, 0, 0, 1, 0]
    assert [batch.repeated_examples for batch in trace.batches] == [0, 1, 0, 0, 1, 0]


def test_batches_made_by_hand_are_seen_without_an_epoch(trace_here, tmp_path):
    memory = np.memmap(tmp_path / "rows", dtype=np.float32, mode="w+", shape=(64, 4))
    memory[:] = np.random.default_rng(0).normal(size=(64, 4))

    def program():
        model = mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for start in (0, 8, 0):
            batch = torch.from_numpy(np.array(memory[start : start + 8]))
            optimizer.zero_grad()
            functional.cross_entropy(model(batch), torch.arange(8) % 3).backward()
            optimizer.step()

    first, second, third = trace_here(program).batches
    assert first.epoch is None
    assert first.fingerprint == third.fingerprint != second.fingerprint
    assert first.label_counts == (3, 3, 2)
    assert first.batch_size == 8


class Text(nn.Module):
    """Takes what a tokenizer gives, in a dictionary within a dictionary."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(9, 4), nn.Linear(4, 3)

    def forward(self, batch):
        text = batch["text"]
        return self.head((self.embed(text["ids"]) * text["mask"][..., None]).mean(dim=1))


def test_examples_are_told_apart_by_all_inputs_of_nested_containers(trace_here):
    ids = torch.arange(12).reshape(6, 2) % 9
    ids[4] = ids[3]
    model = Text()

    def program():
        logits = model({"text": {"ids": ids, "mask": torch.ones(6, 2)}})
        functional.cross_entropy(logits, torch.arange(6) % 3).backward()
        torch.optim.SGD(model.parameters(), lr=0.1).step()

    trace = trace_here(program)
    assert {site.path for site in trace.sites_of("input")} == {
        "input.0.text.ids",
        "input.0.text.mask",
    }
    assert trace.batches[0].duplicate_examples == 1


def test_wide_sparse_examples_are_told_apart_where_no_sample_looks(trace_here):
    rows = torch.zeros(32, 5000)
    rows[torch.arange(32), torch.arange(32) * 131 + 1] = torch.arange(1.0, 33.0)
    model = nn.Linear(5000, 3)
    trace = trace_here(lambda: classify(model, rows, steps=1))
    assert trace.batches[0].duplicate_examples == 0


def test_a_loader_built_anew_for_each_pass_is_one_loader(trace_here):
    def program():
        model = mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            for (batch,) in DataLoader(DATA, batch_size=5):
                optimizer.zero_grad()
                functional.cross_entropy(model(batch), torch.arange(len(batch)) % 3).backward()
                optimizer.step()
            with torch.no_grad():
                for (batch,) in DataLoader(DATA, batch_size=10):
                    model(batch)

    trace = trace_here(program)
    assert [event.payload["batch_size"] for event in trace.events_of("loader")] == [5, 10]
    found = [(one["loader"], one["epoch"], one["complete"]) for one in passes(trace)]
    assert sorted(found) == [(loader, epoch, True) for loader in (0, 1) for epoch in range(3)]
    assert {event.payload["group"] for event in trace.events_of("evaluation")} == {0}


def test_a_loader_where_another_one_was_in_memory_does_not_take_its_place(trace_here):
    def program():
        first = DataLoader(DATA, batch_size=5)
        list(first)
        address = id(first)
        del first
        others = []
        while not others or (id(others[-1]) != address and len(others) < 1000):
            others.append(DataLoader(DATA, batch_size=10))
        list(others[-1])
        train(DataLoader(DATA, batch_size=5), epochs=1)()

    trace = trace_here(program)
    assert [event.payload["batch_size"] for event in trace.events_of("loader")] == [5, 10]


def test_loaders_that_are_there_at_once_are_two(trace_here):
    def program():
        train([*DataLoader(DATA, batch_size=5), *DataLoader(DATA, batch_size=5)], epochs=1)()
        both = DataLoader(DATA, batch_size=5), DataLoader(DATA, batch_size=5)
        for loader in both:
            list(loader)

    assert len(trace_here(program).events_of("loader")) == 2
