"""Experiments carried out in this process on small training loops of different make."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from tracing import tracing

from nntrace.experiment import Experiment
from nntrace.rules.probes import told


class Seen(nn.Module):
    """A classifier that remembers what it was called with."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)
        self.inputs = []

    def forward(self, x):
        self.inputs.append(x.detach().clone())
        return self.head(x)


def data(examples=40):
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(examples, 4, generator=generator)
    return x, torch.randint(0, 3, (examples,), generator=generator)


def from_a_loader(model, targets, loss=functional.cross_entropy, steps=9, batch=8):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    loader = DataLoader(TensorDataset(*data()), batch_size=batch, shuffle=True)
    done = 0
    while done < steps:
        for x, y in loader:
            optimizer.zero_grad()
            value = loss(model(x), y)
            targets.append(y)
            value.backward()
            optimizer.step()
            done += 1


def by_hand(model, targets, loss=functional.cross_entropy, steps=9, batch=8):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    x, y = data()
    for _ in range(steps):
        chosen = torch.randint(0, len(x), (batch,))
        optimizer.zero_grad()
        loss(model(x[chosen]), y[chosen]).backward()
        optimizer.step()


def own_loss(output, y):
    return (output - functional.one_hot(y, 3)).square().mean()


@pytest.mark.parametrize("loop", [from_a_loader, by_hand])
@pytest.mark.parametrize("loss", [functional.cross_entropy, own_loss, nn.CrossEntropyLoss()])
def test_a_pinned_program_sees_one_batch_and_its_targets(under, loop, loss):
    model = Seen()
    trace = under(lambda: loop(model, [], loss), pinned=True)
    assert all(torch.equal(x, model.inputs[0]) for x in model.inputs)
    losses = trace.steps.loss
    assert (np.diff(losses) < 0).all(), "the same batch with the same targets: a smooth descent"


def test_rows_that_a_list_puts_back_in_order_are_pinned_with_the_batch(under):
    """As speakers' utterances are in GE2E: the rows say which examples belong together."""

    def program():
        model = nn.Linear(4, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
        x, y = data(8)
        for _ in range(9):
            order = torch.randperm(8)
            optimizer.zero_grad()
            outputs = model(x[order])[order.argsort().tolist()]
            functional.cross_entropy(outputs, y).backward()
            optimizer.step()

    assert (np.diff(under(program, pinned=True).steps.loss) < 0).all()


def test_a_program_without_modules_is_pinned_where_data_meets_its_parameters(under):
    x, y = data()
    table = torch.randn(5, 6, requires_grad=True)
    weight = torch.zeros(6 + 4, 3, requires_grad=True)

    def program():
        optimizer = torch.optim.SGD([table, weight], lr=0.1)
        for _ in range(8):
            chosen = torch.randint(0, len(x), (8,))
            rows = table[chosen % 5]
            logits = torch.cat([rows, x[chosen]], dim=1) @ weight
            optimizer.zero_grad()
            functional.cross_entropy(logits, y[chosen]).backward()
            optimizer.step()

    losses = under(program, pinned=True).steps.loss
    assert (np.diff(losses) < 0).all()


def test_a_last_smaller_batch_is_the_beginning_of_the_pinned_one(under):
    model = Seen()
    x, y = data(12)

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for begin in (0, 8, 0, 8):
            optimizer.zero_grad()
            functional.cross_entropy(model(x[begin : begin + 8]), y[begin : begin + 8]).backward()
            optimizer.step()

    under(program, pinned=True)
    assert [len(seen) for seen in model.inputs] == [8, 4, 8, 4]
    assert torch.equal(model.inputs[1], x[:4])


def test_an_evaluation_is_left_alone(under):
    model = Seen()
    evaluated = []

    def program():
        def evaluate():
            model.eval()
            with torch.no_grad():
                model(data()[0])
            evaluated.append(model.inputs.pop())
            model.train()

        for _ in range(2):
            by_hand(model, [], steps=2)
            evaluate()

    under(program, pinned=True)
    assert all(torch.equal(seen, data()[0]) for seen in evaluated)
    assert all(torch.equal(x, model.inputs[0]) for x in model.inputs)


def test_a_blind_model_gets_zeros_from_the_second_step_on(under):
    model = Seen()
    under(lambda: by_hand(model, []), inputs="zero")
    assert model.inputs[0].abs().sum() > 0
    assert all(x.abs().sum() == 0 for x in model.inputs[1:])


class WithLabels(nn.Module):
    """A language model that is given its targets, as those of Hugging Face are."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(7, 8)
        self.head = nn.Linear(8, 7)
        self.calls = []

    def forward(self, tokens, attention_mask, labels):
        self.calls.append((tokens.clone(), attention_mask.clone(), labels.clone()))
        logits = self.head(self.table(tokens) * attention_mask[..., None])
        shifted = labels[:, 1:].contiguous().view(-1)
        return functional.cross_entropy(logits[:, :-1].reshape(-1, 7), shifted)


def language(model, steps=6):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        tokens = torch.randint(1, 7, (4, 5), generator=generator)
        mask = torch.ones(4, 5, dtype=torch.long)
        optimizer.zero_grad()
        model(tokens, attention_mask=mask, labels=tokens.clone()).backward()
        optimizer.step()


def test_labels_among_a_models_arguments_and_its_masks_are_no_inputs(under):
    model = WithLabels()
    under(lambda: language(model), inputs="zero")
    assert len(model.calls) == 6
    for tokens, mask, labels in model.calls[1:]:
        assert tokens.abs().sum() == 0
        assert mask.sum() == 20
        assert labels.min() > 0


def test_the_floor_of_a_loss_that_the_model_computes_itself_is_known(under):
    trace = under(lambda: language(WithLabels()), pinned=True)
    assert told(trace)["floor"] == 0.0
    assert len(trace.scalars["accuracy"][1]) == 6


def test_targets_are_shuffled_wherever_the_loss_is_computed(under):
    model = WithLabels()
    under(lambda: language(model), targets="shuffle")
    moved = [not torch.equal(tokens, labels) for tokens, _, labels in model.calls]
    assert moved[1:] == [True] * 5
    for tokens, _, labels in model.calls[1:]:
        assert sorted(map(tuple, tokens.tolist())) == sorted(map(tuple, labels.tolist()))


def test_shuffled_targets_teach_nothing(under):
    class Sign(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            return self.head(x)

    def program():
        model = Sign()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
        x = data(400)[0]
        for _ in range(80):
            chosen = torch.randint(0, 400, (64,))
            optimizer.zero_grad()
            functional.cross_entropy(model(x[chosen]), (x[chosen, 0] > 0).long()).backward()
            optimizer.step()

    assert under(program, targets="shuffle").steps.loss[-10:].mean() > 0.6


def test_the_learning_rate_is_swept_around_the_programs_own(under):
    rates = under(lambda: by_hand(Seen(), []), sweep=True, steps=9).steps.lr
    assert rates[0] == pytest.approx(1e-7)
    assert rates[-1] == pytest.approx(60)
    assert np.allclose(np.diff(np.log(rates)), np.log(60 / 1e-7) / 8)


def test_a_steady_rate_is_that_before_any_warm_up_and_the_schedule_goes_on(under):
    seen = []

    def program():
        model = Seen()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, total_iters=50)
        x, y = data()
        for _ in range(4):
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            schedule.step()
            seen.append(schedule.get_last_lr()[0])

    assert under(program, steady=True).steps.lr == pytest.approx([0.2] * 4)
    assert seen[-1] < 0.03


def test_a_rate_scheduled_by_hand_is_steady_too(under):
    def program():
        model = Seen()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
        x, y = data()
        for step in range(4):
            optimizer.param_groups[0]["lr"] = 1e-3 * step
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()

    assert under(program, steady=True).steps.lr == pytest.approx([0.2] * 4)


def test_without_regularisation_there_is_no_dropout_and_no_decay(under):
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5))
    outputs = []

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0, weight_decay=0.1)
        x, y = data()
        for _ in range(3):
            outputs.append(model(x).detach())
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        assert optimizer.param_groups[0]["weight_decay"] == 0.1

    facts = told(under(program, regularised=False))
    assert facts["dropout"] is True
    assert facts["weight_decay"] is True
    assert torch.equal(outputs[0], outputs[2])


def test_steps_that_differ_in_their_calls_cannot_be_pinned(under):
    model = Seen()

    def program():  # episodes of different length, as in reinforcement learning
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for length in [3, 7, 2, 9, 4, 8, 1, 6]:
            rewards = [model(torch.randn(1, 4)).sum() * torch.randn(1) for _ in range(length)]
            optimizer.zero_grad()
            torch.cat(rewards).sum().backward()
            optimizer.step()

    assert "differ" in told(under(program, pinned=True))["problem"]


def test_the_floor_of_smoothed_targets_is_their_entropy(under):
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    trace = under(lambda: by_hand(Seen(), [], loss, steps=2), pinned=True)
    top, rest = 0.9 + 0.1 / 3, 0.1 / 3
    entropy = -(top * np.log(top) + 2 * rest * np.log(rest))
    assert told(trace)["floor"] == pytest.approx(entropy)


@pytest.mark.parametrize(("scale", "floor"), [(1.0, np.log(2)), (5.0, None)])
def test_targets_of_an_entropy_that_are_no_shares_have_no_floor(under, scale, floor):
    def program():
        model = nn.Linear(4, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            logits = model(torch.ones(3, 4))
            targets = torch.full((3, 2), 0.5 * scale)
            functional.binary_cross_entropy_with_logits(logits, targets).backward()
            optimizer.step()

    found = told(under(program, pinned=True))["floor"]
    assert found is floor or found == pytest.approx(floor)


def test_accuracy_on_the_pinned_batch_is_recorded(under):
    trace = under(lambda: by_hand(Seen(), [], steps=200, batch=3), pinned=True)
    _, accuracy = trace.scalars["accuracy"]
    assert accuracy[-1] == 1.0


def test_a_program_that_changes_its_parameters_by_hand_is_ended_at_once(tmp_path):
    model, reasons = Seen(), []
    x, y = data()
    with tracing(tmp_path / "run", experiment=Experiment()) as recorder:
        recorder.end_process = reasons.append
        for _ in range(40):
            model.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            with torch.no_grad():
                model.head.weight -= 0.1 * model.head.weight.grad
    assert "by hand" in reasons[0]


def test_everything_comes_off_again(under):
    before = (nn.Module.__call__, functional.dropout, nn.LSTM.forward)
    under(lambda: by_hand(Seen(), []), pinned=True, inputs="zero", regularised=False)
    assert (nn.Module.__call__, functional.dropout, nn.LSTM.forward) == before
    assert torch.overrides._len_torch_function_stack() == 0


@pytest.mark.parametrize(("losses", "floor"), [(1, 0.0), (2, None)])
def test_of_several_losses_the_floor_is_not_known(under, losses, floor):
    def program():
        model = Seen()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        x, y = data()
        for _ in range(2):
            optimizer.zero_grad()
            output = model(x)
            sum(functional.cross_entropy(output, y) for _ in range(losses)).backward()
            optimizer.step()

    assert told(under(program, pinned=True))["floor"] == floor
