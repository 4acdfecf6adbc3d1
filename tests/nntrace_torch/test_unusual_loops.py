"""What the recorded numbers mean in unusual loops and models, against values by hand."""

import copy
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_sequence
from torch.utils.checkpoint import checkpoint
from torch_programs import Wrapped, classify, mlp, regress

from nntrace.rules import get_rule


def rms(tensor):
    return float(np.sqrt(np.mean(np.abs(tensor.detach().numpy().astype(np.complex128)) ** 2)))


def recorded(trace, role, path, stat="rms"):
    return trace.series(role, stat, trace.site(path, role))


def paths(trace, role):
    return [site.path for site in trace.sites_of(role)]


def test_an_accumulated_step_has_the_first_micro_batch_and_the_whole_gradient(trace_here):
    torch.manual_seed(0)
    model, batches = mlp(), torch.randn(3, 6, 4)
    witness = copy.deepcopy(model)
    hidden = []
    witness[0].register_forward_hook(lambda m, a, out: (out.retain_grad(), hidden.append(out))[0])
    for batch in batches:
        (functional.cross_entropy(witness(batch), torch.arange(6) % 3) / 3).backward()

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for batch in batches:
            (functional.cross_entropy(model(batch), torch.arange(6) % 3) / 3).backward()
        optimizer.step()

    trace = trace_here(program)
    assert trace.steps.backwards.tolist() == [3]
    assert recorded(trace, "activation", "0") == pytest.approx([rms(hidden[0])], rel=1e-5)
    assert recorded(trace, "activation_grad", "0") == pytest.approx([rms(hidden[0].grad)], rel=1e-5)
    whole = rms(witness[0].weight.grad)
    assert recorded(trace, "param_grad", "0.weight") == pytest.approx([whole], rel=1e-5)


def test_a_generators_output_has_the_gradient_of_its_own_step(trace_here):
    torch.manual_seed(0)
    generator, judge = mlp(), nn.Linear(3, 1)
    made = []
    generator[2].register_forward_hook(lambda m, a, out: (out.retain_grad(), made.append(out))[0])

    def program():
        first = torch.optim.SGD(judge.parameters(), lr=0.1)
        second = torch.optim.SGD(generator.parameters(), lr=0.1)
        for _ in range(2):
            fake = generator(torch.randn(6, 4))
            judge(fake.detach()).mean().backward()
            first.step()
            (-judge(fake)).mean().backward()
            second.step()

    trace = trace_here(program)
    gradients = recorded(trace, "activation_grad", "2")
    expected = [rms(output.grad) for output in made]
    assert np.isnan(gradients[::2]).all()
    assert gradients[1::2] == pytest.approx(expected, rel=1e-5)
    assert trace.series("activation", "n", trace.site("2", "activation"))[::2].tolist() == [18, 18]


def test_an_optimizer_counts_as_holding_its_parameters_before_it_first_steps(trace_here):
    one, other = mlp(), mlp()

    def program():
        idle = torch.optim.Adam(other.parameters())
        optimizer = torch.optim.SGD(one.parameters(), lr=0.1)
        for _ in range(6):
            loss = functional.cross_entropy(
                other(one(torch.randn(6, 4))[:, :1].expand(6, 4)), torch.arange(6) % 3
            )
            loss.backward()
            optimizer.step()
        assert idle.param_groups

    trace = trace_here(program)
    holders = {site.path: site.optimizer for site in trace.sites_of("update")}
    assert holders["Sequential.0.weight"] == "Adam"
    assert holders["0.weight"] == "SGD.2"
    assert not list(get_rule("UPD04").run(trace, {}))


def test_an_optimizer_built_before_tracing_is_found(trace_here):
    one, other = mlp(), nn.Linear(3, 3)
    idle = torch.optim.Adam(other.parameters())
    optimizer = torch.optim.SGD(one.parameters(), lr=0.1)

    def program():
        functional.cross_entropy(other(one(torch.randn(6, 4))), torch.arange(6) % 3).backward()
        optimizer.step()

    trace = trace_here(program)
    assert trace.site("Linear.weight", "update") is not None
    assert idle.param_groups


def test_two_optimizers_after_one_backward_share_its_loss_on_the_first_step(trace_here):
    model = mlp()

    def program():
        optimizers = [torch.optim.SGD(model[k].parameters(), lr=0.1) for k in (0, 2)]
        for _ in range(2):
            functional.cross_entropy(model(torch.randn(6, 4)), torch.arange(6) % 3).backward()
            for optimizer in optimizers:
                optimizer.step()

    steps = trace_here(program).steps
    assert np.isfinite(steps.loss).tolist() == [True, False, True, False]
    assert steps.backwards.tolist() == [1, 0, 1, 0]


def test_gradients_by_autograd_grad_give_the_step_its_loss(trace_here):
    model, losses = mlp(), []

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        parameters = list(model.parameters())
        for _ in range(3):
            loss = functional.cross_entropy(model(torch.randn(6, 4)), torch.arange(6) % 3)
            losses.append(loss.item())
            for p, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                p.grad = gradient
            optimizer.step()

    assert trace_here(program).steps.loss.tolist() == losses


def test_a_gradient_penalty_by_autograd_grad_is_no_loss_of_its_own(trace_here):
    model, losses = mlp(), []

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        inputs = torch.randn(6, 4, requires_grad=True)
        (slope,) = torch.autograd.grad(model(inputs).sum(), inputs, create_graph=True)
        loss = model(inputs).square().mean() + slope.square().mean()
        losses.append(loss.item())
        loss.backward()
        optimizer.step()

    assert trace_here(program).steps.loss.tolist() == losses


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpointed_block_is_recorded_as_if_it_were_none(trace_here, reentrant):
    def run(around):
        torch.manual_seed(0)
        model = Wrapped(
            lambda m, x: m.head(around(m.body, m.first(x))),
            first=nn.Linear(4, 4),
            body=nn.Sequential(nn.Linear(4, 4), nn.Tanh()),
            head=nn.Linear(4, 3),
        )
        return trace_here(lambda: classify(model, torch.randn(6, 4)))

    bare = run(lambda body, x: body(x))
    kept = run(lambda body, x: checkpoint(body, x, use_reentrant=reentrant))
    assert kept.steps.backwards.tolist() == [1, 1, 1]
    assert kept.steps.loss.tolist() == bare.steps.loss.tolist()
    for role in ("input", "activation", "activation_grad", "param_grad", "update"):
        assert paths(kept, role) == paths(bare, role)
        np.testing.assert_array_equal(kept.series(role, "rms"), bare.series(role, "rms"), role)


def test_the_weights_of_a_parametrized_layer_are_parameters_and_no_activations(trace_here):
    torch.manual_seed(0)
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 4)), nn.ReLU(), nn.Linear(4, 3))

    def loss(logits, targets):
        return functional.cross_entropy(logits, targets) + model[0].weight.square().mean()

    trace = trace_here(lambda: classify(model, torch.randn(6, 4), loss_function=loss))
    assert paths(trace, "activation") == ["0", "1", "2"]
    assert paths(trace, "input") == ["input.0"]
    assert paths(trace, "update")[:3] == [
        "0.bias",
        "0.parametrizations.weight.original0",
        "0.parametrizations.weight.original1",
    ]
    assert paths(trace, "param")[:3] == paths(trace, "update")[:3]


def test_a_complex_weight_is_described_by_its_real_and_imaginary_parts(trace_here):
    torch.manual_seed(0)

    class Phase(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, dtype=torch.cfloat))

        def forward(self, x):
            return self.weight * x

    model = Wrapped(lambda m, x: m.head(m.phase(x).abs()), phase=Phase(), head=nn.Linear(4, 3))
    before = copy.deepcopy(model)
    inputs = torch.randn(6, 4)
    trace = trace_here(lambda: classify(model, inputs, steps=1))
    parts = torch.view_as_real(before.phase.weight.detach())
    moved = torch.view_as_real((model.phase.weight - before.phase.weight).detach())
    assert recorded(trace, "param", "phase.weight") == pytest.approx([rms(parts)], rel=1e-5)
    assert recorded(trace, "update", "phase.weight") == pytest.approx([rms(moved)], rel=1e-3)
    assert trace.site("phase", "activation").dtype == "complex64"
    norm = torch.cat(
        [
            torch.view_as_real(p.grad).flatten() if p.grad.is_complex() else p.grad.flatten()
            for p in model.parameters()
        ]
    ).norm()
    assert trace.steps.grad_norm[0] == pytest.approx(norm.item(), rel=1e-5)
    real = before.phase(inputs).real
    assert recorded(trace, "activation", "phase") == pytest.approx([rms(real)], rel=1e-5)


def test_inputs_in_a_dataclass_and_outputs_of_one_are_recorded(trace_here):
    @dataclass
    class Batch:
        pixels: torch.Tensor
        mask: torch.Tensor | None = None

    @dataclass
    class Output:
        loss: torch.Tensor
        logits: torch.Tensor

    inner = Wrapped(lambda m, b: Output(b.pixels.sum(), m.head(b.pixels) * 2), head=nn.Linear(4, 3))
    model = Wrapped(lambda m, b: m.inner(b).logits, inner=inner)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def program():
        logits = model(Batch(torch.randn(6, 4)))
        functional.cross_entropy(logits, torch.arange(6) % 3).backward()
        optimizer.step()

    trace = trace_here(program)
    assert paths(trace, "input") == ["input.0.pixels"]
    assert trace.site("inner", "activation").shape == (6, 3)


def test_packed_sequences_count_as_sequences_and_not_as_time_steps(trace_here):
    lstm = nn.LSTM(2, 5)
    series = [torch.randn(n, 2) for n in (4, 3, 1)]

    def program():
        optimizer = torch.optim.SGD(lstm.parameters(), lr=0.1)
        output, _ = lstm(pack_sequence(series))
        output.data.square().mean().backward()
        optimizer.step()

    trace = trace_here(program)
    assert trace.batches[0].batch_size == 3
    assert trace.batches[0].duplicate_examples is None
    whole = torch.cat(series)
    assert recorded(trace, "input", "input.0") == pytest.approx([rms(whole)], rel=1e-5)
    assert recorded(trace, "activation", "", "n").tolist() == [8 * 5]


@pytest.mark.filterwarnings("ignore:.*prototype.*:UserWarning")
def test_a_jagged_batch_is_described_by_the_values_of_its_examples(trace_here):
    layer = nn.Linear(2, 3)
    parts = [torch.randn(n, 2) for n in (4, 3, 1)]

    def program():
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        out = layer(torch.nested.nested_tensor(parts, layout=torch.jagged))
        out.values().square().mean().backward()
        optimizer.step()

    witness = rms(layer(torch.cat(parts)))
    trace = trace_here(program)
    assert recorded(trace, "activation", "") == pytest.approx([witness], rel=1e-5)
    assert trace.batches[0].batch_size == 3


def test_a_tensor_subclass_that_only_carries_a_name_is_sampled(trace_here):
    class Image(torch.Tensor):
        pass

    model = nn.Sequential(nn.Linear(4, 3))
    inputs = torch.randn(6, 4).as_subclass(Image)

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model(inputs).square().mean().backward()
        optimizer.step()

    trace = trace_here(program)
    assert recorded(trace, "activation", "0", "n").tolist() == [18]
    assert recorded(trace, "input", "input.0", "n").tolist() == [24]


def test_a_parameter_put_in_anothers_place_has_its_site(trace_here):
    model = mlp()

    def program():
        classify(model, torch.randn(6, 4), steps=2)
        model[2].weight = nn.Parameter(torch.randn(3, 8))
        classify(model, torch.randn(6, 4), steps=2)

    trace = trace_here(program)
    assert paths(trace, "param").count("2.weight") == 1
    assert recorded(trace, "update", "2.weight", "n").tolist() == [24] * 4


def test_a_new_head_of_another_shape_is_a_parameter_of_its_own(trace_here):
    model = mlp()

    def program():
        classify(model, torch.randn(6, 4), steps=2)
        model[2] = nn.Linear(8, 5)
        classify(model, torch.randn(6, 4), steps=2)

    trace = trace_here(program)
    assert trace.site("2.weight#2", "param").shape == (5, 8)
    assert paths(trace, "activation") == ["0", "1", "2"]
    assert recorded(trace, "activation", "2", "n").tolist() == [18, 18, 30, 30]


def test_a_parameter_that_is_unfrozen_is_recorded_from_then_on(trace_here):
    model = mlp()
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def program():
        classify(model, torch.randn(6, 4), steps=2, optimizer=optimizer)
        model[0].requires_grad_(True)
        classify(model, torch.randn(6, 4), steps=2, optimizer=optimizer)

    trace = trace_here(program)
    assert np.isfinite(recorded(trace, "update", "0.weight", "n")).tolist() == [0, 0, 1, 1]


def test_a_frozen_teacher_in_evaluation_mode_does_not_make_the_student_look_so(trace_here):
    student = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.Linear(8, 3))
    teacher = copy.deepcopy(student).requires_grad_(False).eval()

    def program():
        optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
        for _ in range(4):
            inputs = torch.randn(6, 4)
            wanted = teacher(inputs)
            functional.mse_loss(student(inputs), wanted).backward()
            optimizer.step()

    trace = trace_here(program)
    assert set(trace.steps.phase) == {"train"}
    modes = {event.payload["model"]: event.payload["training"] for event in trace.events_of("mode")}
    assert modes == {"": False, "Sequential": True}
    assert not list(get_rule("RUN01").run(trace, {}))


def test_a_model_made_on_the_meta_device_is_recorded_once_it_has_memory(trace_here):
    def program():
        with torch.device("meta"):
            model = mlp()
            model(torch.empty(2, 4))
        model.to_empty(device="cpu")
        for layer in (model[0], model[2]):
            layer.reset_parameters()
        regress(model, torch.randn(6, 4))

    trace = trace_here(program)
    assert (recorded(trace, "update", "0.weight") > 0).all()
    assert paths(trace, "param") == ["0.weight", "0.bias", "2.weight", "2.bias"]
