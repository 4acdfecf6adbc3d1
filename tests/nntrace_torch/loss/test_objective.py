import pytest
import torch
from nntrace_torch.loss import graph
from torch import nn
from torch.nn import functional
from torch_programs import mlp
from torch_versions import shapes_in_graphs

INPUTS = torch.linspace(-1.0, 1.0, 24).reshape(6, 4)
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


def train(objective, model=None, steps=2):
    """A loop that differentiates `objective(model)`."""
    model = model or mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        objective(model).backward()
        optimizer.step()


@pytest.fixture
def traced(trace_here):
    return lambda objective, **options: trace_here(lambda: train(objective, **options))


def objective_of(trace):
    (event,) = trace.events_of("objective")
    return event.payload


@shapes_in_graphs
def test_the_summands_of_an_objective_are_recorded_with_their_weights_and_values(traced):
    seen = []

    def objective(model):
        output = model(INPUTS)
        entropy = functional.cross_entropy(output, LABELS)
        error = functional.mse_loss(output, torch.zeros(6, 3))
        decay = sum(p.pow(2).sum() for p in model.parameters())
        seen.append([entropy.item(), 0.5 * error.item(), -0.1 * decay.item()])
        return entropy + 0.5 * error - 0.1 * decay

    trace = traced(objective)
    assert objective_of(trace)["terms"] == ["cross_entropy", "mse_loss", "penalty"]
    assert objective_of(trace)["weights"] == pytest.approx([1.0, 0.5, -0.1])
    for batch, values in zip(trace.batches, seen, strict=True):
        assert batch.term_values == pytest.approx(values, rel=1e-4)


@shapes_in_graphs
def test_the_one_summand_that_is_not_known_is_what_is_left(traced):
    def objective(model):
        output = model(INPUTS)
        return functional.cross_entropy(output, LABELS) + output.exp().mean().sqrt()

    trace = traced(objective)
    batch, loss = trace.batches[0], float(trace.steps.loss[0])
    assert batch.term_names == ("cross_entropy", "other")
    assert sum(batch.term_values) == pytest.approx(loss, rel=1e-5)


@shapes_in_graphs
def test_calls_of_one_loss_function_are_told_apart(traced):
    def objective(model):
        losses = [functional.cross_entropy(model(INPUTS), LABELS) for _ in range(3)]
        return torch.stack(losses).mean()

    trace = traced(objective)
    names = ["cross_entropy", "cross_entropy#2", "cross_entropy#3"]
    assert objective_of(trace)["terms"] == names
    assert sum(trace.batches[0].term_values) == pytest.approx(float(trace.steps.loss[0]))


@pytest.mark.parametrize(
    ("cut", "share"),
    [
        (lambda error: error.clamp(max=1.0).mean(), 2 / 3),
        (lambda error: torch.minimum(error, torch.tensor(1.0)).sum(), 2 / 3),
        (lambda error: torch.minimum(torch.tensor(1.0), error).sum(), 2 / 3),
        (lambda error: (cut := error.clamp(max=1.0)).mul(cut).mean(), 2 / 3),
        (lambda error: error.clamp(max=1.0).mul(error.exp()).mean(), None),
        (lambda error: (error - 1.0).clamp(-0.4, 0.4).pow(2).mean(), 1.0),
        (lambda error: error.clamp(min=0.0).mean(), None),
        (lambda error: torch.minimum(error, 2 * error).mean(), None),
        (lambda error: error.clamp(1e-7, 1.0).log().mean(), None),
    ],
)
def test_a_clamp_above_between_errors_and_their_mean_is_seen(cut, share):
    prediction = torch.tensor([0.5, 2.0, 3.0], requires_grad=True)
    (term,) = graph.terms(cut(prediction * 1.0), [])
    found = graph.clamped_share(term)
    assert found is None if share is None else float(found) == pytest.approx(share)


@shapes_in_graphs
@pytest.mark.parametrize(
    ("difference", "found"),
    [
        (lambda model: model(INPUTS) - torch.zeros(6), True),
        (lambda model: model(INPUTS).squeeze(1) - torch.zeros(6, 1), True),
        (lambda model: model(INPUTS) - torch.zeros(6, 1), False),
        (lambda model: model(INPUTS) - torch.zeros(1), False),
        (lambda model: model(INPUTS)[:, 0, None] - model(INPUTS)[:, 0], False),
        (lambda model: model(INPUTS)[:, 0].unsqueeze(1) - torch.zeros(6), False),
    ],
)
def test_a_difference_far_larger_than_the_predictions_is_a_broadcast(traced, difference, found):
    one = nn.Linear(4, 1)
    trace = traced(lambda model: difference(model).pow(2).mean(), model=one)
    shapes = objective_of(trace)["broadcast"]
    assert shapes == ([[6, 1], [6, 6]] if shapes and len(shapes[0]) == 2 else shapes)
    assert (shapes is not None) is found


@shapes_in_graphs
@pytest.mark.parametrize(
    ("product", "found"),
    [
        (lambda given: given[:, 0] * torch.ones(6, 1), [[6], [6, 6], [6, 1]]),
        (lambda given: -(torch.ones(6) * given), [[6, 1], [6, 6], [6]]),
        (lambda given: given[:, 0] * torch.ones(6), None),
        (lambda given: given * torch.ones(6, 6), None),
        (lambda given: given[:, 0, None] * torch.ones(6), None),
    ],
)
def test_a_product_with_data_far_larger_than_both_is_a_broadcast(traced, product, found):
    trace = traced(lambda model: product(model(INPUTS)).mean(), model=nn.Linear(4, 1))
    assert objective_of(trace)["broadcast"] == found


def huber(difference):
    size = difference.abs()
    return torch.where(size < 1.0, 0.5 * size**2, size - 0.5).mean()


@shapes_in_graphs
@pytest.mark.parametrize("error", [huber, lambda difference: difference.cosh().log().mean()])
def test_a_broadcast_is_seen_behind_other_errors_written_by_hand(traced, error):
    trace = traced(lambda model: error(model(INPUTS) - torch.zeros(6)), model=nn.Linear(4, 1))
    assert objective_of(trace)["broadcast"] == [[6, 1], [6, 6]]


def unit(x):
    return functional.normalize(x, dim=1)


def by_inverse(x):
    return x * (x**2).sum(1, keepdim=True).rsqrt()


@shapes_in_graphs
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda x: torch.sigmoid(x).squeeze(-1), "sigmoid"),
        (lambda x: x[:, 0], "affine"),
        (lambda x: functional.log_softmax(x, -1).view(-1), "log_softmax"),
        (lambda x: torch.softmax(x, 1), "softmax"),
        (lambda x: x * 2.0, None),
        (lambda x: 30 * (unit(x) @ unit(x).t()), "cosine"),
        (lambda x: 30 * (unit(x) @ unit(x).t() - torch.eye(6)).clamp(-1, 1), "cosine"),
        (lambda x: -(torch.cdist(3 * unit(x), 3 * unit(x + 1.0)) ** 2), "cosine"),
        (lambda x: 30 * (by_inverse(x) @ by_inverse(x).t()), "cosine"),
        (lambda x: 30 * (unit(x) @ x.t()), None),
        (lambda x: 30 * (unit(x) @ unit(x).t()) + x.sum(1), None),
    ],
)
def test_the_operation_behind_the_predictions_is_named(make, name):
    made = graph.head(make(nn.Linear(4, 3)(INPUTS)))
    assert made.name == name
    assert made.width == (3 if name in ("softmax", "log_softmax") else None)


def test_a_loss_call_says_shapes_and_head(traced):
    trace = traced(lambda model: functional.cross_entropy(model(INPUTS).softmax(1), LABELS))
    (event,) = trace.events_of("loss_call")
    assert event.payload["shape"] == [6, 3]
    assert event.payload["target_shape"] == [6]
    assert event.payload["head"] == "softmax"


def test_graphs_of_a_sampled_step_do_not_outlive_it(trace_here):
    import gc
    import weakref

    alive = []

    def objective(model):
        output = model(INPUTS)
        alive.append(weakref.ref(output))
        return functional.cross_entropy(output, LABELS)

    gc.disable()
    try:
        trace_here(lambda: train(objective, steps=3))
        assert [reference() for reference in alive] == [None] * 3
    finally:
        gc.enable()


def test_calls_with_one_example_are_counted(traced):
    def objective(model):
        actions = [model(INPUTS[n]).sum() for n in range(3)]
        return sum(actions) + model(INPUTS).sum()

    assert objective_of(traced(objective, steps=1))["single_calls"] == 3


def test_an_objective_made_of_numbers_has_no_terms(traced):
    def objective(model):
        return torch.tensor(model(INPUTS).sum().item(), requires_grad=True)

    assert objective_of(traced(objective))["terms"] == []
