"""What each of a step's loss functions was given, where there are several."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch_programs import mlp
from torch_versions import shapes_in_graphs
from tracing import payloads

from nntrace.schema import EventKind, Role

EXAMPLES, STEPS = 12, 3


class TwoHeads(nn.Module):
    def __init__(self, *widths):
        super().__init__()
        self.body = nn.Linear(4, 8)
        self.heads = nn.ModuleList(nn.Linear(8, width) for width in widths)

    def forward(self, inputs):
        hidden = torch.relu(self.body(inputs))
        return [head(hidden) for head in self.heads]


def train(loss_of, model=None):
    """Steps of SGD on `loss_of(model, inputs)`."""
    torch.manual_seed(0)
    model = TwoHeads(3, 1) if model is None else model
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss_of(model, torch.randn(EXAMPLES, 4)).backward()
        optimizer.step()


def paths(trace, role=Role.OUTPUT):
    return [site.path for site in trace.sites_of(role)]


def two_tasks(model, inputs):
    classes, price = model(inputs)
    classification = functional.cross_entropy(classes, torch.arange(EXAMPLES) % 3)
    return classification + 0.5 * functional.mse_loss(price, inputs[:, :1] + 7.0)


@shapes_in_graphs
def test_a_second_loss_function_has_sites_and_rows_of_its_own(trace_here):
    trace = trace_here(lambda: train(two_tasks))
    assert paths(trace) == paths(trace, Role.TARGET) == ["cross_entropy", "mse_loss"]
    assert [batch.loss_path for batch in trace.batches] == ["cross_entropy"] * STEPS
    assert [loss.loss_path for loss in trace.further_losses] == ["mse_loss"] * STEPS
    for batch, further in zip(trace.batches, trace.further_losses, strict=True):
        assert (further.step, further.batch_size, further.classes) == (batch.step, EXAMPLES, 1)
        assert further.target_mean == pytest.approx(7.0, abs=2.0)
        weighted = [batch.loss_value, 0.5 * further.loss_value]
        assert weighted == pytest.approx(batch.term_values, rel=1e-5)
        assert further.fingerprint is None


def test_every_sampled_step_has_statistics_of_the_second_loss_function(trace_here):
    trace = trace_here(lambda: train(two_tasks))
    for role in (Role.OUTPUT, Role.TARGET):
        assert len(trace.series(role, "mean", trace.site("mse_loss", role))) == STEPS


def test_each_line_is_announced_with_the_path_of_its_sites(trace_here):
    def both_ends(model, inputs):
        low, high = model(inputs)
        first = functional.mse_loss(low, inputs[:, :1])
        return first + functional.mse_loss(high, inputs[:, 1:2])

    trace = trace_here(lambda: train(both_ends, TwoHeads(1, 1)))
    calls = payloads(trace, EventKind.LOSS_CALL)
    assert [call["path"] for call in calls] == ["mse_loss", "mse_loss#2"]
    assert calls[1]["line"] == calls[0]["line"] + 1


def test_of_the_calls_of_one_line_for_one_layer_the_first_counts(trace_here):
    def by_time(model, inputs):
        return sum(functional.mse_loss(model(inputs)[0], inputs[:, :3]) for _ in range(4))

    trace = trace_here(lambda: train(by_time))
    assert paths(trace) == ["mse_loss"]
    assert trace.further_losses == ()


def test_heads_of_one_line_are_told_apart(trace_here):
    def of_each_head(model, inputs):
        return sum(functional.mse_loss(out, inputs[:, :1]) for out in model(inputs))

    trace = trace_here(lambda: train(of_each_head, TwoHeads(1, 1, 1)))
    assert paths(trace) == ["mse_loss", "mse_loss#2", "mse_loss#3"]


@pytest.mark.parametrize("activation", [torch.sigmoid, lambda x: x.softmax(1)[:, 0]])
def test_heads_of_one_line_are_told_apart_behind_an_activation(trace_here, activation):
    def of_each_head(model, inputs):
        shares = [activation(out).reshape(-1) for out in model(inputs)]
        return sum(functional.mse_loss(share, torch.rand(share.shape)) for share in shares)

    trace = trace_here(lambda: train(of_each_head, TwoHeads(2, 2)))
    assert paths(trace) == ["mse_loss", "mse_loss#2"]


def test_two_calls_of_a_helper_are_told_apart(trace_here):
    def distance(one, other):
        return functional.mse_loss(one, other)

    def loss_of(model, inputs):
        out = model(inputs)[0]
        return distance(out, inputs[:, :3]) + distance(out, inputs[:, 1:])

    assert paths(trace_here(lambda: train(loss_of))) == ["mse_loss", "mse_loss#2"]


def test_micro_batches_are_one_call(trace_here):
    def program():
        model = mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        for _ in range(STEPS):
            for _ in range(2):
                functional.cross_entropy(model(torch.randn(6, 4)), torch.arange(6) % 3).backward()
            optimizer.step()
            optimizer.zero_grad()

    trace = trace_here(program)
    assert trace.further_losses == ()


@shapes_in_graphs
def test_at_most_eight_losses_of_a_step_are_recorded(trace_here):
    def of_each_head(model, inputs):
        return sum(functional.mse_loss(out, inputs[:, :1]) for out in model(inputs))

    trace = trace_here(lambda: train(of_each_head, TwoHeads(*[1] * 10)))
    assert len(paths(trace)) == 8
    assert len(trace.further_losses) == 7 * STEPS
    assert len(trace.batches[0].term_names) == 10


def test_targets_of_a_second_loss_that_no_loader_delivered_are_known_as_such(trace_here):
    def program():
        data = torch.utils.data.TensorDataset(torch.randn(24, 4), 100 + torch.rand(24, 1))
        model = TwoHeads(1, 1)
        optimizer = torch.optim.SGD(model.parameters(), 1e-4)
        for inputs, goals in torch.utils.data.DataLoader(data, EXAMPLES):
            one, other = model(inputs)
            loss = functional.mse_loss(one, one.detach() + 1.0)
            loss = loss + functional.mse_loss(other, goals)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    trace = trace_here(program)
    assert [batch.target_delivered for batch in trace.batches] == [False, False]
    assert [loss.target_delivered for loss in trace.further_losses] == [True, True]
