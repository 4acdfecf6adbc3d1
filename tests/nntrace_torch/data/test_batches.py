import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nntrace_torch.data.batches import example_hashes
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torch_programs import classify, mlp

from nntrace.schema import Role


def train_on(batches, model=None):
    def program():
        net = model or nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
        net(batches[0])
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for batch in batches:
            optimizer.zero_grad()
            functional.cross_entropy(net(batch), torch.arange(len(batch)) % 3).backward()
            optimizer.step()

    return program


def test_equal_batches_have_equal_fingerprints_and_others_do_not(trace_here):
    first, second = torch.randn(6, 4), torch.randn(6, 4)
    trace = trace_here(train_on([first, second, first.clone(), first.flip(0)], mlp()))
    prints = [batch.fingerprint for batch in trace.batches]
    assert prints[0] == prints[2]
    assert len(set(prints)) == 3


def test_copies_of_an_example_within_a_batch_are_counted(trace_here):
    batch = torch.randn(6, 4)
    batch[3] = batch[5] = batch[0]
    trace = trace_here(train_on([batch, torch.randn(6, 4)], mlp()))
    assert [batch.duplicate_examples for batch in trace.batches] == [2, 0]


def test_a_change_of_one_late_pixel_of_a_large_image_changes_the_fingerprint(trace_here):
    first = torch.zeros(2, 3, 16, 16)
    second = first.clone()
    second[1, 2, 15, 15] = 1
    trace = trace_here(train_on([first, second]))
    assert trace.batches[0].fingerprint != trace.batches[1].fingerprint


def test_the_inputs_moments_are_those_of_the_batch(trace_here):
    batch = torch.randint(0, 256, (6, 4)).float()
    (recorded, *_) = trace_here(train_on([batch], mlp())).batches
    assert recorded.input_mean == pytest.approx(float(batch.mean()), rel=1e-5)
    assert recorded.input_std == pytest.approx(float(batch.std(correction=0)), rel=1e-5)
    assert recorded.input_max == float(batch.max())
    assert recorded.input_integer_valued is True
    assert recorded.batch_size == 6


@pytest.mark.parametrize(
    ("apart", "second", "means"),
    [(False, (6, 4), [1.0, 3.0] * 2), (False, (6, 2, 4), [1.0] * 4), (True, (6, 4), [1.0] * 4)],
)
def test_the_moments_are_in_turn_those_of_each_alike_call_before_the_backward(
    trace_here, apart, second, means
):
    source, target = torch.ones(6, 4), torch.full(second, 3.0)

    def adapt():
        model = mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(4):
            optimizer.zero_grad()
            if apart:
                model(source).sum().backward()
                model(target).sum().backward()
            else:
                (model(source).sum() - model(target).sum()).backward()
            optimizer.step()

    assert [batch.input_mean for batch in trace_here(adapt).batches] == means


def test_a_whole_batch_of_fractions_is_not_integer_valued(trace_here):
    (recorded,) = trace_here(train_on([torch.randn(6, 4)], mlp())).batches
    assert recorded.input_integer_valued is False


def test_labels_are_counted_and_regression_targets_are_not(trace_here):
    trace = trace_here(lambda: classify(mlp(), torch.randn(7, 4), steps=1))
    assert trace.batches[0].label_values == (0, 1, 2)
    assert trace.batches[0].label_counts == (3, 2, 2)
    assert trace.batches[0].classes == 3

    def regression():
        model = mlp()
        functional.mse_loss(model(torch.randn(7, 4)), torch.ones(7, 3)).backward()
        torch.optim.SGD(model.parameters(), lr=0.1).step()

    (batch,) = trace_here(regression).batches
    assert batch.label_values == ()
    assert (batch.target_mean, batch.target_std) == (1.0, 0.0)


def test_token_inputs_are_described_by_the_first_floating_point_one(trace_here):
    class Embedded(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(9, 4), nn.Linear(4, 3)

        def forward(self, tokens, scale):
            return self.head(self.embed(tokens).mean(dim=1) * scale)

    model = Embedded()

    def program():
        logits = model(torch.arange(12).reshape(6, 2) % 9, torch.full((6, 1), 0.5))
        functional.cross_entropy(logits, torch.arange(6) % 3).backward()
        torch.optim.SGD(model.parameters(), lr=0.1).step()

    trace = trace_here(program)
    assert [site.dtype for site in trace.sites_of("input")] == ["int64", "float32"]
    assert trace.batches[0].input_mean == 0.5


@pytest.mark.parametrize(
    "values",
    [
        torch.zeros(4, 3, dtype=torch.bool),
        torch.zeros(4, 3, dtype=torch.uint8),
        torch.zeros(4, 3, dtype=torch.float64),
        torch.zeros(4, 3, dtype=torch.bfloat16),
        torch.zeros(4, 3).T[:3],
        torch.zeros(4).expand(5, 4),
        torch.zeros(4),
    ],
    ids=lambda values: f"{values.dtype}{tuple(values.shape)}",
)
def test_batches_of_any_type_and_memory_layout_can_be_hashed(values):
    assert len(set(example_hashes(values).tolist())) == 1


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_hashes_are_equal_exactly_for_equal_examples(numbers):
    batch = torch.tensor(numbers).float().unsqueeze(1).expand(-1, 5)
    hashes = example_hashes(batch).tolist()
    for one, hash_of_one in zip(numbers, hashes, strict=True):
        for other, hash_of_other in zip(numbers, hashes, strict=True):
            assert (one == other) == (hash_of_one == hash_of_other)


def test_a_hash_tells_examples_apart_that_hold_the_same_values_in_another_order():
    hashes = example_hashes(torch.tensor([[1.0, 2.0], [2.0, 1.0]]))
    assert hashes[0] != hashes[1]


def test_only_part_of_a_huge_batch_is_hashed():
    assert len(example_hashes(torch.zeros(5000, 2))) == 4096


def step_on(model, inputs, objective):
    """Three steps of a model; the batch sizes that were recorded by steps, and by batches."""

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            objective(model(inputs)).backward()
            optimizer.step()

    return program


def sizes(trace):
    return trace.steps.batch_size[1:].tolist(), [batch.batch_size for batch in trace.batches][1:]


def test_the_examples_of_a_language_model_are_its_sequences(trace_here):
    model = nn.Sequential(nn.Embedding(11, 8), nn.Linear(8, 11))
    ids = torch.randint(0, 11, (5, 7))
    program = step_on(
        model, ids, lambda logits: functional.cross_entropy(logits.flatten(0, 1), ids.flatten())
    )
    assert sizes(trace_here(program)) == ([5, 5], [5, 5])


def test_a_state_vector_is_one_example(trace_here):
    program = step_on(mlp(), torch.randn(4), lambda out: out.square().sum())
    trace = trace_here(program)
    assert sizes(trace) == ([1, 1], [1, 1])
    assert {batch.duplicate_examples for batch in trace.batches} == {None}


def test_texts_one_after_another_with_their_offsets_are_counted_by_their_targets(trace_here):
    model = nn.EmbeddingBag(9, 3)
    words, offsets = torch.arange(20) % 9, torch.tensor([0, 2, 7, 11])

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            functional.cross_entropy(model(words, offsets), torch.arange(4) % 3).backward()
            optimizer.step()

    trace = trace_here(program)
    assert trace.steps.batch_size.tolist() == [4, 4, 4]
    assert {(batch.batch_size, batch.duplicate_examples) for batch in trace.batches} == {(4, None)}


def test_one_id_per_example_is_counted_by_the_ids(trace_here):
    program = step_on(
        nn.Embedding(9, 3),
        torch.arange(6),
        lambda out: functional.cross_entropy(out, torch.arange(6) % 3),
    )
    trace = trace_here(program)
    assert sizes(trace) == ([6, 6], [6, 6])
    assert {batch.duplicate_examples for batch in trace.batches} == {0}


def test_numbers_that_a_model_maps_one_by_one_are_examples(trace_here):
    class Line(nn.Module):
        def __init__(self):
            super().__init__()
            self.slope = nn.Parameter(torch.ones(()))

        def forward(self, x):
            return self.slope * x

    program = step_on(Line(), torch.randn(6), lambda out: out.square().mean())
    assert sizes(trace_here(program)) == ([6, 6], [6, 6])


def test_sequences_with_time_first_are_counted_by_their_targets(trace_here):
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.RNN(4, 3)

        def forward(self, x):
            return self.rnn(x)[0][-1]

    labels = torch.arange(6) % 3
    program = step_on(
        Last(), torch.randn(9, 6, 4), lambda out: functional.cross_entropy(out, labels)
    )
    assert trace_here(program).steps.batch_size.tolist() == [6, 6, 6]


@pytest.mark.parametrize("by_keyword", [False, True])
def test_of_many_calls_with_one_example_another_is_sampled_each_time(trace_here, by_keyword):
    class Policy(nn.Linear):
        def forward(self, state):
            return super().forward(state)

    def program():
        policy = Policy(3, 2)
        optimizer = torch.optim.SGD(policy.parameters(), lr=0.1)
        for _ in range(6):
            states = [torch.full((3,), float(time)) for time in range(4)]
            outputs = [policy(state=s) if by_keyword else policy(s) for s in states]
            optimizer.zero_grad()
            torch.stack(outputs).sum().backward()
            optimizer.step()

    trace = trace_here(program)
    [site] = trace.sites_of(Role.INPUT)
    assert list(trace.series(Role.INPUT, "max", site)) == [0.0, 1.0, 2.0, 3.0, 0.0, 1.0]


def test_of_several_batches_in_a_step_the_first_is_sampled(trace_here):
    def program():
        model = mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            for part in range(4):
                model(torch.full((6, 4), float(part))).sum().backward()
            optimizer.step()

    trace = trace_here(program)
    [site] = trace.sites_of(Role.INPUT)
    assert list(trace.series(Role.INPUT, "max", site)) == [0.0, 0.0, 0.0]


class Detector(nn.Module):
    """As those of torchvision: a list of images, one of targets, and losses by their names."""

    def __init__(self):
        super().__init__()
        self.backbone, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)

    def forward(self, images, targets):
        boxes = [self.head(self.backbone(one[None]).mean((2, 3)))[0] for one in images]
        wanted = [target["boxes"][0] for target in targets]
        return {"loss": functional.l1_loss(torch.stack(boxes), torch.stack(wanted))}


def test_each_image_of_a_list_is_an_example(trace_here):
    pairs = [
        (torch.randn(3, 16 + n, 20), {"boxes": torch.rand(1, 4), "labels": torch.ones(1)})
        for n in range(8)
    ]

    def program():
        model = Detector()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for images, targets in DataLoader(
            pairs, 4, collate_fn=lambda batch: [*zip(*batch, strict=True)]
        ):
            optimizer.zero_grad()
            model(list(images), list(targets))["loss"].backward()
            optimizer.step()

    trace = trace_here(program)
    assert trace.steps.batch_size.tolist() == [4, 4]
    assert [batch.batch_size for batch in trace.batches] == [4, 4]
    assert {batch.duplicate_examples for batch in trace.batches} == {None}
    assert [event.payload["examples"] for event in trace.events_of("epoch")] == [8]
