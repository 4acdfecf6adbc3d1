import copy

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from torch_programs import classify, mlp

INPUTS = torch.randn(10, 4) + 3.0
LABELS = torch.arange(10) % 3


def dropout_net():
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))


def evaluate(model, context=torch.no_grad):
    with context():
        return [
            functional.cross_entropy(model(x), y)
            for x, y in ((INPUTS[:6], LABELS[:6]), (INPUTS[6:], LABELS[6:]))
        ]


def evaluations(trace):
    return [(event.step, event.payload) for event in trace.events_of("evaluation")]


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_a_pass_without_gradients_is_recorded_with_modes_examples_and_loss(trace_here, context):
    model, seen = dropout_net(), []

    def program():
        classify(model, torch.randn(6, 4), steps=2)
        model.eval()
        seen.extend(evaluate(model, context))
        model.train()
        classify(model, torch.randn(6, 4), steps=2)

    [(step, payload)] = evaluations(trace_here(program))
    assert step == 2
    assert (payload["number"], payload["calls"], payload["examples"]) == (0, 2, 10)
    assert payload["training"] is False
    assert (payload["dropout_inactive"], payload["norm_inactive"]) == (1, 1)
    assert payload["loss_function"] == "cross_entropy"
    assert payload["loss"] == pytest.approx((6 * seen[0].item() + 4 * seen[1].item()) / 10)
    assert payload["input_mean"] == pytest.approx(INPUTS.mean().item(), rel=1e-5)
    assert payload["file"] == __file__


def test_a_pass_in_training_mode_says_which_layers_were_active(trace_here):
    model = dropout_net()

    def program():
        classify(model, torch.randn(6, 4), steps=1)
        evaluate(model)

    [(step, payload)] = evaluations(trace_here(program))
    assert (step, payload["training"]) == (1, True)
    assert (payload["dropout_active"], payload["norm_active"]) == (1, 1)


def test_a_part_that_is_called_by_itself_is_named(trace_here):
    model = nn.ModuleDict({"net": nn.Linear(4, 3), "target": nn.Linear(4, 3)})

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            with torch.no_grad():
                expected = model["target"](INPUTS)
            functional.mse_loss(model["net"](INPUTS), expected).backward()
            optimizer.step()

    [(_, payload)] = evaluations(trace_here(program))
    assert (payload["model"], payload["part"]) == ("", "target")


def test_each_pause_of_the_training_is_a_pass_and_of_many_only_some_are_recorded(trace_here):
    model = mlp()

    def program():
        for _ in range(200):
            classify(model, torch.randn(6, 4), steps=1)
            with torch.no_grad():
                model(INPUTS)

    found = evaluations(trace_here(program))
    assert [payload["number"] for _, payload in found][:64] == list(range(64))
    assert 64 < len(found) < 100
    assert found[-1][1]["loss"] is None


@pytest.mark.parametrize("with_buffers", [False, True])
def test_norms_with_the_statistics_they_were_built_with_are_told(trace_here, with_buffers):
    def train():
        model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
        average = copy.deepcopy(model).eval()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            functional.cross_entropy(model(torch.randn(8, 4)), torch.arange(8) % 3).backward()
            optimizer.step()
            if with_buffers:
                average.load_state_dict(model.state_dict())
            with torch.no_grad():
                functional.cross_entropy(average(torch.randn(8, 4)), torch.arange(8) % 3)

    told = [one["norms_are_fresh"] for _, one in evaluations(trace_here(train))]
    assert told
    assert set(told) == {not with_buffers}


def test_training_alone_has_no_evaluations(trace_here):
    assert not evaluations(trace_here(lambda: classify(mlp(), torch.randn(6, 4), steps=3)))


def loader(shift=0.0):
    inputs = torch.linspace(-1.0, 1.0, 160).reshape(40, 4) + shift
    return DataLoader(TensorDataset(inputs, torch.arange(40) % 3), batch_size=16)


def train_on(model, batches):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for inputs, labels in batches:
        optimizer.zero_grad()
        functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()


def test_passes_over_different_data_are_told_apart(trace_here):
    def program():
        model, training, unseen = mlp(), loader(), loader(shift=3.0)
        for _ in range(2):
            train_on(model, training)
            for batches in (training, unseen):
                with torch.no_grad():
                    for inputs, _ in batches:
                        model(inputs)
            with torch.no_grad():
                model(INPUTS)
                model(-INPUTS)

    found = [payload for _, payload in evaluations(trace_here(program))]
    assert [payload["loader"] for payload in found[:2]] == [0, 1]
    groups = [payload["group"] for payload in found]
    assert groups == [0, 1, 2, 3] * 2
    means = [payload["input_mean"] for payload in found[:2]]
    assert means == pytest.approx([0.0, 3.0], abs=0.4)
    assert found[1]["input_shape"] == [16, 4]
    assert found[1]["examples"] == 40


def test_one_large_call_is_measured_over_all_places_of_its_examples(trace_here):
    def program():
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
        patches = torch.zeros(297, 16, 4)
        patches[:, 5:11] = torch.randn(297, 6, 4)
        functional.cross_entropy(model(patches[:32]), torch.zeros(32, dtype=torch.long)).backward()
        torch.optim.SGD(model.parameters()).step()
        with torch.no_grad():
            model(patches)
        seen.append(patches.std().item())

    seen = []
    [(_, payload)] = evaluations(trace_here(program))
    assert payload["input_std"] == pytest.approx(seen[0], rel=0.2)


def test_a_summed_loss_is_recorded_per_example(trace_here):
    def program():
        model = mlp()
        classify(model, torch.randn(6, 4), steps=1)
        with torch.no_grad():
            loss = functional.cross_entropy(model(INPUTS), LABELS, reduction="sum")
            seen.append(loss.item() / 10)

    seen = []
    [(_, payload)] = evaluations(trace_here(program))
    assert payload["loss"] == pytest.approx(seen[0])


def test_a_loader_that_delivers_the_targets_is_known(trace_here):
    def program(targets):
        model = mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for inputs, labels in loader():
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs), targets(labels)).backward()
            optimizer.step()

    given = trace_here(lambda: program(lambda labels: labels))
    made = trace_here(lambda: program(torch.zeros_like))
    assert {batch.target_delivered for batch in given.batches} == {True}
    assert {batch.target_delivered for batch in made.batches} == {False}


class DropsByFunction(nn.Module):
    """Drops half of its hidden values by `drop`, a function of them and of the module."""

    def __init__(self, drop):
        super().__init__()
        self.first, self.second, self.drop = nn.Linear(4, 8), nn.Linear(8, 3), drop

    def forward(self, x):
        return self.second(self.drop(self.first(x), self))


def attended(hidden, rate):
    one = hidden.unsqueeze(0)
    return functional.scaled_dot_product_attention(one, one, one, dropout_p=rate).squeeze(0)


def evaluated_with(trace_here, drop):
    model = DropsByFunction(drop)

    def program():
        classify(model, torch.randn(6, 4), steps=2)
        model.eval()
        evaluate(model)
        model.train()
        classify(model, torch.randn(6, 4), steps=1)

    [(_, payload)] = evaluations(trace_here(program))
    return payload


@pytest.mark.parametrize(
    ("drop", "name"),
    [
        (lambda x, module: functional.dropout(x, 0.5), "dropout"),
        (lambda x, module: attended(x, 0.2), "scaled_dot_product_attention"),
    ],
)
def test_dropout_that_is_not_told_the_mode_is_named_with_its_line(trace_here, drop, name):
    payload = evaluated_with(trace_here, drop)
    assert payload["dropout_function"] == name
    assert payload["dropout_file"] == __file__


@pytest.mark.parametrize(
    "drop",
    [
        lambda x, module: functional.dropout(x, 0.5, training=module.training),
        lambda x, module: functional.dropout(x, 0.5, True),
        lambda x, module: functional.dropout(x, 0.0),
        lambda x, module: attended(x, 0.2 if module.training else 0.0),
    ],
)
def test_dropout_that_is_told_a_mode_is_meant(trace_here, drop):
    assert "dropout_function" not in evaluated_with(trace_here, drop)


@pytest.mark.parametrize(("draws", "repeated"), [(1, 0), (3, 4)])
def test_calls_with_the_input_of_the_call_before_are_counted(trace_here, draws, repeated):
    model = mlp()

    def program():
        classify(model, torch.randn(6, 4), steps=2)
        with torch.no_grad():
            for _ in range(2):
                batch = torch.randn(6, 4)
                for _ in range(draws):
                    model(batch)
        classify(model, torch.randn(6, 4), steps=1)

    [(_, payload)] = evaluations(trace_here(program))
    assert (payload["calls"], payload["repeated"]) == (2 * draws, repeated)


def test_dropout_functions_are_watched_during_evaluations_alone(trace_here):
    original, seen = functional.dropout, []

    def drop(x, module):
        seen.append((module.training, functional.dropout is original))
        return functional.dropout(x, 0.5, module.training)

    evaluated_with(trace_here, drop)
    assert seen[0] == (True, True)
    assert (False, False) in seen
    assert functional.dropout is original


def taught(teacher, student, *, follow=0.0, shared=True):
    """Trains the student on the teacher's answers; the teacher may follow it."""
    optimizer = torch.optim.SGD(student.parameters(), lr=0.01)
    for _ in range(12):
        given = torch.randn(6, 4)
        with torch.no_grad():
            wanted = teacher(given)
        loss = functional.mse_loss(student(given if shared else given + 1.0), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if follow:
            with torch.no_grad():
                for own, its in zip(teacher.parameters(), student.parameters(), strict=True):
                    own.lerp_(its, follow)


def test_a_teacher_that_stays_as_it_is_is_told_from_one_that_follows(trace_here):
    teacher, student = dropout_net(), dropout_net()
    told = {}
    for follow in (0.0, 0.01):
        trace = trace_here(lambda follow=follow: taught(teacher, student, follow=follow))
        told[follow] = evaluations(trace)[-1][1]
    assert told[0.0]["unchanged"] == told[0.0]["number"] > 5
    assert told[0.0]["is_beside"] is True
    assert told[0.01]["unchanged"] == 0


def test_a_model_with_inputs_of_its_own_is_not_beside_the_trained_one(trace_here):
    trace = trace_here(lambda: taught(dropout_net(), dropout_net(), shared=False))
    assert not any(payload["is_beside"] for _, payload in evaluations(trace))


@pytest.mark.parametrize(
    "odd",
    [
        nn.LazyLinear(2),
        nn.Linear(2, 2, device="meta"),
        nn.ParameterList([nn.Parameter(torch.eye(3).to_sparse())]),
        nn.ParameterList([nn.Parameter(torch.ones(3, dtype=torch.complex64))]),
    ],
    ids=["lazy", "meta", "sparse", "complex"],
)
def test_a_model_with_odd_parameters_is_evaluated_in_training_mode(trace_here, odd):
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5), nn.Linear(3, 3))
    model.odd = odd
    model.forward = lambda given: model[2](model[1](model[0](given)))

    def program():
        optimizer = torch.optim.SGD(model[0].parameters(), lr=0.1)
        for _ in range(3):
            functional.cross_entropy(model(torch.randn(6, 4)), torch.arange(6) % 3).backward()
            optimizer.step()
            with torch.no_grad():
                model(torch.randn(6, 4))

    assert len(evaluations(trace_here(program))) == 3


SHARED = torch.randn(40, 4)


@pytest.mark.parametrize("shuffle", [False, True])
def test_what_a_loader_evaluates_is_met_again_in_the_batches_of_another(trace_here, shuffle):
    model = mlp()
    training = DataLoader(TensorDataset(SHARED[:30]), batch_size=10, shuffle=True)
    held_out = DataLoader(TensorDataset(SHARED[20:]), batch_size=10, shuffle=shuffle)

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            for (x,) in training:
                optimizer.zero_grad()
                model(x).square().mean().backward()
                optimizer.step()
            with torch.no_grad():
                print(sum(model(x).sum().item() for (x,) in held_out))

    told = [event.payload for event in trace_here(program).events_of("trained_on")]
    assert {key: told[0][key] for key in ("examples", "seen", "of", "trained")} == {
        "examples": 20,
        "seen": 10,
        "of": 20,
        "trained": 30,
    }


def test_other_rows_at_the_same_line_are_not_those_that_were_trained_on(trace_here):
    model = mlp()

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for fold in range(4):
            rows = torch.arange(40) // 10 != fold
            optimizer.zero_grad()
            model(SHARED[rows]).square().mean().backward()
            optimizer.step()
            with torch.no_grad():
                print(model(SHARED[~rows]).sum().item())

    assert trace_here(program).events_of("trained_on") == ()


@pytest.mark.parametrize("given", [SHARED[:0], SHARED[:, :0], SHARED.cfloat(), SHARED.double()])
def test_odd_inputs_of_an_evaluation_do_not_disturb(trace_here, given):
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return self.head(x) if x.dtype is torch.float32 and x.shape[1:] == (4,) else x.sum()

    model = Sum()

    def program():
        classify(model, SHARED, steps=2)
        with torch.no_grad():
            model(given)
        classify(model, SHARED, steps=1)

    [(_, payload)] = evaluations(trace_here(program))
    assert payload["examples"] == len(given)
