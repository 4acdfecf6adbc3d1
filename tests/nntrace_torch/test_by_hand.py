"""Programs that change their parameters without an optimizer."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from nntrace.schema import EventKind

RATE = 0.1


def descend(parameters):
    for parameter in parameters:
        parameter.data -= RATE * parameter.grad
        parameter.grad = None


def test_each_change_of_the_weights_is_a_step_with_its_loss_gradient_and_update(trace_here):
    torch.manual_seed(0)
    model, losses = nn.Linear(4, 3), []

    def program():
        for _ in range(12):
            loss = functional.cross_entropy(model(torch.randn(6, 4)), torch.arange(6) % 3)
            loss.backward()
            losses.append(loss.item())
            descend(model.parameters())

    trace = trace_here(program)
    assert trace.steps.loss.tolist() == losses
    assert set(trace.steps.optimizer) == {"by hand"}
    assert trace.steps.batch_size.tolist() == [6] * 12
    gradient, update = (
        trace.series(role, "rms", trace.site("weight", role)) for role in ("param_grad", "update")
    )
    assert update == pytest.approx(RATE * gradient, rel=1e-4)
    assert trace.series("activation", "n").shape == (12, 1)


def test_a_weight_that_a_step_breaks_is_told(trace_here):
    torch.manual_seed(0)
    model = nn.Linear(4, 3)

    def program():
        for step in range(6):
            loss = model(torch.randn(6, 4)).square().mean()
            loss.backward()
            descend(model.parameters())
            if step == 3:
                model.weight.data[0, 0] = float("inf")

    trace = trace_here(program)
    assert len(trace.steps) == 6
    assert trace.events_of(EventKind.ORIGIN)


def test_backward_passes_between_which_no_weight_changes_are_one_step(trace_here):
    model = nn.Linear(4, 3)

    def program():
        for passes in range(12):
            model(torch.randn(6, 4)).square().mean().backward()
            if passes % 3 == 2:
                descend(model.parameters())

    trace = trace_here(program)
    assert trace.steps.backwards.tolist() == [3, 3, 3, 3]


@pytest.mark.parametrize("is_pending", [False, True])
def test_weights_that_are_loaded_between_steps_make_no_step(trace_here, is_pending):
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    best = {name: value.clone() for name, value in model.state_dict().items()}

    def program():
        for _ in range(6):
            model(torch.randn(6, 4)).square().mean().backward()
            descend(model.parameters())
            if is_pending:  # a micro-batch that no step has used yet
                model(torch.randn(6, 4)).square().mean().backward()
            model.load_state_dict(best)

    trace = trace_here(program)
    assert len(trace.steps) == 6


def test_a_step_has_the_mode_it_was_taken_in_though_an_evaluation_comes_next(trace_here):
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.1))

    def program():
        for _ in range(12):
            model.train()
            model(torch.randn(6, 4)).square().mean().backward()
            descend(model.parameters())
            model.eval()
            with torch.no_grad():
                model(torch.randn(6, 4))

    trace = trace_here(program)
    assert set(trace.steps.phase) == {"train"}
    assert len(trace.events_of("evaluation")) == 12


def test_weights_that_are_in_no_module_are_seen_with_the_batch_of_their_own_step(trace_here):
    torch.manual_seed(0)
    weights = [torch.randn(4, 8) / 2, torch.zeros(8), torch.randn(8, 3) / 3]
    for weight in weights:
        weight.requires_grad_()

    def program():
        for step in range(12):
            hidden = (torch.randn(6, 4) @ weights[0] + weights[1]).tanh()
            labels = torch.full((6,), step % 3)
            functional.cross_entropy(hidden @ weights[2], labels).backward()
            descend(weights)

    trace = trace_here(program)
    assert len(trace.steps) == 12
    assert [site.numel for site in trace.sites_of("update")] == [32, 8, 24]
    labels = trace.table("data").column("label_values").to_pylist()
    assert labels == [[step % 3] for step in range(12)]


def test_gradients_of_unchanged_weights_are_no_steps(trace_here):
    model = nn.Linear(4, 3)

    def program():
        for _ in range(12):
            picture = torch.randn(6, 4, requires_grad=True)
            model(picture).square().mean().backward()
            torch.ones(2, requires_grad=True).sum().backward()

    with pytest.raises(AssertionError, match="nothing was recorded"):
        trace_here(program)


def test_a_backward_pass_before_the_optimizer_is_built_is_no_step(trace_here):
    torch.manual_seed(0)
    model = nn.Linear(4, 3)

    def program():
        model(torch.randn(6, 4)).square().mean().backward()
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
        for _ in range(12):
            optimizer.zero_grad()
            model(torch.randn(6, 4)).square().mean().backward()
            optimizer.step()

    trace = trace_here(program)
    assert set(trace.steps.optimizer) == {"SGD"}
    assert (trace.series("update", "n")[0] > 0).all()
    assert len(trace.steps) == 12
    assert trace.table("stats").group_by(["step", "site"]).aggregate([([], "count_all")]).column(
        "count_all"
    ).to_pylist() == [1] * len(trace.table("stats"))


def test_steps_are_told_whether_or_not_pytorch_counts_the_writes_and_when_that_changes(trace_here):
    torch.manual_seed(0)
    model = nn.Linear(4, 3)

    def program():
        for passes in range(24):
            model(torch.randn(6, 4)).square().mean().backward()
            if passes < 8 or passes >= 16:
                with torch.no_grad():
                    for parameter in model.parameters():
                        parameter -= RATE * parameter.grad
                        parameter.grad = None
            else:
                descend(model.parameters())

    trace = trace_here(program)
    # The first write that is not counted is seen as of the next, as nothing was kept to compare.
    assert trace.steps.backwards.tolist() == [1] * 8 + [2] + [1] * 14


def test_backward_is_left_alone_once_an_optimizer_was_built(trace_here):
    model = nn.Linear(4, 3)
    depths = []

    def depth():
        function, found = torch.autograd.backward, 0
        while (function := getattr(function, "__wrapped__", None)) is not None:
            found += 1
        return found

    def program():
        depths.append(depth())
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
        for _ in range(12):
            model(torch.randn(6, 4)).square().mean().backward()
            optimizer.step()
        depths.append(depth())

    trace_here(program)
    assert depths[1] == depths[0] - 1


def raw_weights():
    torch.manual_seed(0)
    return [
        weight.requires_grad_()
        for weight in (torch.randn(4, 8) / 2, torch.zeros(8), torch.randn(8, 3) / 3, torch.zeros(3))
    ]


def loss_of(weights, step):
    hidden = (torch.randn(6, 4) @ weights[0] + weights[1]).tanh()
    return functional.cross_entropy(hidden @ weights[2] + weights[3], (torch.arange(6) + step) % 3)


def replaced(weights, gradients):
    return [
        (w - RATE * g).detach().requires_grad_() for w, g in zip(weights, gradients, strict=True)
    ]


@pytest.mark.parametrize("keeps", [False, True])
def test_new_tensors_in_place_of_the_weights_are_a_step_of_the_same_parameters(trace_here, keeps):
    history, losses = [], []

    def program():
        weights = raw_weights()
        for step in range(12):
            loss = loss_of(weights, step)
            loss.backward()
            losses.append(loss.item())
            if keeps:
                history.append(weights)
            weights = replaced(weights, [weight.grad for weight in weights])

    trace = trace_here(program)
    assert trace.steps.loss.tolist() == losses[:-1]  # no loss is there to show the last ones
    assert [site.shape for site in trace.sites_of("update")] == [(4, 8), (8,), (8, 3), (3,)]
    gradient, update = (
        trace.series(role, "rms", trace.sites_of(role)[2]) for role in ("param_grad", "update")
    )
    assert update == pytest.approx(RATE * gradient, rel=1e-4)


@pytest.mark.parametrize("in_place", [False, True])
def test_gradients_that_are_asked_for_are_those_of_the_step(trace_here, in_place):
    losses = []

    def program():
        weights = raw_weights()
        for step in range(12):
            loss = loss_of(weights, step)
            losses.append(loss.item())
            gradients = torch.autograd.grad(loss, weights)
            assert all(weight.grad is None for weight in weights)
            if in_place:
                with torch.no_grad():
                    for weight, gradient in zip(weights, gradients, strict=True):
                        weight.sub_(RATE * gradient)
            else:
                weights = replaced(weights, gradients)

    trace = trace_here(program)
    assert trace.steps.loss.tolist() == losses[: len(trace.steps)]
    assert len(trace.steps) == (12 if in_place else 11)
    assert set(trace.steps.backwards) == {1}
    gradient, update = (
        trace.series(role, "rms", trace.sites_of(role)[0]) for role in ("param_grad", "update")
    )
    assert update == pytest.approx(RATE * gradient, rel=1e-4)


def test_the_parameters_of_a_model_may_be_given_as_an_iterator(trace_here):
    model = nn.Linear(4, 3)

    def program():
        for _ in range(12):
            loss = functional.cross_entropy(model(torch.randn(6, 4)), torch.arange(6) % 3)
            gradients = torch.autograd.grad(loss, model.parameters())
            with torch.no_grad():
                for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                    parameter -= RATE * gradient

    trace = trace_here(program)
    assert len(trace.steps) == 12
    assert trace.series("activation", "n").shape == (12, 1)


def test_the_values_of_a_dict_may_be_differentiated_by(trace_here):
    def program():
        weights = dict(enumerate(raw_weights()))
        for step in range(12):
            gradients = torch.autograd.grad(loss_of([*weights.values()], step), weights.values())
            with torch.no_grad():
                for weight, gradient in zip(weights.values(), gradients, strict=True):
                    weight.sub_(RATE * gradient)

    trace = trace_here(program)
    assert len(trace.steps) == 12


def test_places_in_the_graph_may_be_differentiated_by(trace_here):
    found = []

    def program():
        weights = raw_weights()
        for step in range(6):
            loss = loss_of(weights, step)
            edge = torch.autograd.graph.get_gradient_edge(loss)
            found.append(torch.autograd.grad(loss, edge, retain_graph=True))
            found.append(torch.autograd.grad(loss, (weights[0], edge), retain_graph=True))
            gradients = torch.autograd.grad(loss, weights)
            with torch.no_grad():
                for weight, gradient in zip(weights, gradients, strict=True):
                    weight.sub_(RATE * gradient)

    trace = trace_here(program)
    assert len(trace.steps) == 6
    assert [len(gradients) for gradients in found] == [1, 2] * 6


def test_passes_over_the_same_tensors_are_one_step_until_they_are_replaced(trace_here):
    def program():
        weights = raw_weights()
        for step in range(12):
            for half in range(2):
                loss_of(weights, step + half).backward()
            weights = replaced(weights, [weight.grad for weight in weights])

    trace = trace_here(program)
    assert trace.steps.backwards.tolist() == [2] * 11


@pytest.mark.parametrize("asks", [False, True])
def test_a_single_tensor_that_is_replaced_may_be_an_input_and_makes_no_steps(trace_here, asks):
    def program():
        weight = torch.randn(4, 3)
        image = torch.randn(6, 4, requires_grad=True)
        for _ in range(12):
            loss = functional.cross_entropy(image @ weight, torch.arange(6) % 3)
            if asks:
                (gradient,) = torch.autograd.grad(loss, image)
            else:
                loss.backward()
                gradient = image.grad
            image = (image + 0.1 * gradient.sign()).detach().requires_grad_()

    with pytest.raises(AssertionError, match="nothing was recorded"):
        trace_here(program)


@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_for_a_penalty_or_a_curvature_are_no_steps(trace_here, create_graph):
    def program():
        weights = raw_weights()
        for step in range(12):
            loss = loss_of(weights, step)
            gradients = torch.autograd.grad(loss, weights, create_graph=True)
            torch.autograd.grad(
                sum((g**2).sum() for g in gradients), weights, create_graph=create_graph
            )

    with pytest.raises(AssertionError, match="nothing was recorded"):
        trace_here(program)
