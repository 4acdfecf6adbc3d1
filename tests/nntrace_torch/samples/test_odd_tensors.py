import pytest
import torch
from torch import nn
from torch.nn import functional
from torch_programs import Wrapped, classify, mlp


def paths(trace):
    return [site.path for site in trace.sites_of("activation")]


@pytest.mark.parametrize(
    "odd",
    [
        lambda x: torch.complex(x, x).abs(),
        lambda x: x.argmax(dim=1).float().unsqueeze(1) + x,
    ],
    ids=["complex", "integer"],
)
def test_functions_outside_modules_over_odd_types_do_not_disturb(trace_here, odd):
    model = Wrapped(lambda m, x: odd(m.body(x)), body=nn.Linear(4, 3))
    assert "body" in paths(trace_here(lambda: classify(model, torch.randn(6, 4))))


class Giving(nn.Module):
    """Returns whatever it was told to, ignoring its input."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x):
        return self.value


@pytest.mark.parametrize(
    "value",
    [
        torch.zeros(3, 2, dtype=torch.complex64),
        torch.arange(4),
        torch.zeros(0, 5),
        torch.tensor(1.5),
        torch.zeros(3, dtype=torch.bool),
        torch.eye(3).to_sparse(),
        torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged),
        torch.zeros(2, 2, device="meta"),
        torch.zeros(4, dtype=torch.float8_e4m3fn),
        None,
        "text",
        {},
        (),
    ],
    ids=lambda value: str(getattr(value, "dtype", value)) + str(getattr(value, "shape", "")),
)
def test_a_module_that_returns_something_odd_is_passed_over(trace_here, value):
    model = Wrapped(lambda m, x: (m.odd(x), m.body(x))[1], odd=Giving(value), body=nn.Linear(4, 3))
    trace = trace_here(lambda: classify(model, torch.randn(6, 4)))
    assert trace.series("activation", "n", trace.site("body", "activation")).tolist() == [18] * 3


def test_a_part_run_in_inference_mode_does_not_disturb(trace_here):
    class Frozen(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

        def forward(self, x):
            with torch.inference_mode():
                features = self.trunk(x)
            return self.head(features.clone())

    trace = trace_here(lambda: classify(Frozen(), torch.randn(6, 4)))
    assert (trace.series("activation", "n", trace.site("trunk", "activation")) == 24).all()


def test_per_example_gradients_by_torch_func_do_not_disturb(trace_here):
    model = mlp()
    inputs, targets = torch.randn(6, 4), torch.arange(6) % 3

    def loss(parameters, example, target):
        logits = torch.func.functional_call(model, parameters, (example.unsqueeze(0),))
        return functional.cross_entropy(logits, target.unsqueeze(0))

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
        for _ in range(2):
            parameters = {n: p.detach() for n, p in model.named_parameters()}
            gradients = each(parameters, inputs, targets)
            for name, parameter in model.named_parameters():
                parameter.grad = gradients[name].mean(dim=0)
            optimizer.step()

    trace = trace_here(program)
    assert (trace.series("update", "rms", trace.site("0.weight", "update")) > 0).all()


class Named(torch.Tensor):
    """A subclass in name only, as fastai and MONAI make of every batch."""

    def __repr__(self):
        raise AssertionError("code of the subclass ran")


def test_losses_of_tensors_that_are_a_subclass_in_name_are_those_of_ordinary_ones(trace_here):
    def program(kind):
        def run():
            torch.manual_seed(0)
            model = nn.Linear(4, 3)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for _ in range(24):
                inputs, targets = torch.randn(6, 4), torch.arange(6) % 3
                loss = functional.cross_entropy(
                    model(inputs.as_subclass(kind)), targets.as_subclass(kind)
                )
                (loss + 0.1 * model.weight.square().sum()).backward()
                optimizer.step()
                optimizer.zero_grad()

        return run

    named, plain = trace_here(program(Named)), trace_here(program(torch.Tensor))
    assert named.steps.loss.tolist() == plain.steps.loss.tolist()
    for kind in ("loss_call", "objective"):
        of_each = [[event.payload for event in t.events_of(kind)] for t in (named, plain)]
        assert of_each[0] == of_each[1]
        assert of_each[0]
    assert named.series("target", "mean").tolist() == plain.series("target", "mean").tolist()
