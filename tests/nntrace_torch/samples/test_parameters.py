from collections.abc import Callable

import numpy as np
import pytest
import torch
from nntrace_torch.program.describe import fans
from torch import nn
from torch.nn import functional
from torch_programs import classify, mlp, regress

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05),
    "Adam foreach": lambda p: torch.optim.Adam(p, lr=0.01, foreach=True),
    "Adam fused": lambda p: torch.optim.Adam(p, lr=0.01, fused=True),
    "LBFGS": lambda p: torch.optim.LBFGS(p, lr=0.1),
}


class Witness:
    """Copies every parameter before and after each step, and its gradient."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.model = model
        self.before, self.after, self.gradients = [], [], []
        optimizer.register_step_pre_hook(lambda *_: self.before.append(self.copy()))
        optimizer.register_step_post_hook(lambda *_: self._after())

    def copy(self):
        return {n: p.detach().double().numpy() for n, p in self.model.named_parameters()}

    def _after(self):
        self.after.append(self.copy())
        named = self.model.named_parameters()
        self.gradients.append({n: p.grad.double().numpy() for n, p in named})


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_update_is_what_happened_to_the_weights(trace_here, name):
    torch.manual_seed(0)
    model = mlp()
    optimizer = OPTIMIZERS[name](model.parameters())
    witness = Witness(model, optimizer)
    inputs, targets = torch.randn(16, 4), torch.randint(3, (16,))

    def closure():
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(inputs), targets)
        loss.backward()
        return loss

    def program():
        for _ in range(4):
            if name == "LBFGS":
                optimizer.step(closure)
            else:
                closure()
                optimizer.step()

    trace = trace_here(program)
    for path in witness.before[0]:
        for role, happened in (
            ("param", [step[path] for step in witness.before]),
            (
                "update",
                [
                    (after[path] - before[path]).astype(np.float32).astype(np.float64)
                    for before, after in zip(witness.before, witness.after, strict=True)
                ],
            ),
            ("param_grad", [step[path] for step in witness.gradients]),
        ):
            site = trace.site(path, role)
            for stat, of in (("mean", np.mean), ("std", np.std), ("min", np.min), ("max", np.max)):
                expected = [of(values) for values in happened]
                recorded = trace.series(role, stat, site)
                assert recorded == pytest.approx(expected, rel=1e-4, abs=1e-7), (path, role, stat)


def test_a_large_weight_is_described_by_the_same_elements_each_time(trace_here):
    torch.manual_seed(0)
    model = nn.Linear(300, 200)
    trace = trace_here(
        lambda: regress(
            model, torch.randn(8, 300), optimizer=torch.optim.SGD(model.parameters(), lr=0.0)
        )
    )
    site = trace.site("weight", "param")
    (count,) = set(trace.series("param", "n", site))
    assert 3000 < count <= 4096
    std = trace.series("param", "std", site)
    assert len(set(std)) == 1
    assert std[0] == pytest.approx(float(model.weight.detach().std()), rel=0.05)


def test_a_parameter_that_is_a_strided_view_is_sampled(trace_here):
    base = torch.randn(6, 8)
    layer = nn.Linear(4, 6, bias=False)
    layer.weight = nn.Parameter(base[:, ::2])
    witness = layer.weight.detach().clone()
    trace = trace_here(lambda: regress(layer, torch.randn(3, 4), steps=1))
    recorded = trace.series("param", "std", trace.site("weight", "param"))[0]
    assert recorded == pytest.approx(float(witness.std(correction=0)), rel=1e-5)


def test_a_parameter_without_gradient_has_rows_of_size_zero(trace_here):
    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, x):
            return self.used(x)

    trace = trace_here(lambda: classify(Unused(), torch.randn(6, 4)))
    sizes = trace.series("param_grad", "n", trace.site("unused.weight", "param_grad"))
    assert list(sizes) == [0, 0, 0]
    assert list(trace.series("param_grad", "n", trace.site("used.bias", "param_grad"))) == [3] * 3


def test_a_trainable_parameter_that_no_optimizer_holds_is_looked_at_too(trace_here):
    model = mlp()
    optimizer = torch.optim.SGD(model[0].parameters(), lr=0.1)
    trace = trace_here(lambda: classify(model, torch.randn(6, 4), optimizer=optimizer))
    assert trace.site("2.weight", "param") is not None
    assert trace.site("2.weight", "param_grad") is not None
    assert trace.site("2.weight", "update") is None


@pytest.mark.parametrize("is_stepped", [False, True])
def test_what_an_optimizer_that_makes_no_step_holds_is_looked_at_too(trace_here, is_stepped):
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3))
    idle, steps = (torch.optim.SGD(part.parameters(), lr=0.1) for part in model)

    def program():
        for _ in range(30):
            functional.cross_entropy(model(torch.randn(8, 4)), torch.arange(8) % 3).backward()
            steps.step()
            if is_stepped:
                idle.step()
            model.zero_grad()

    trace = trace_here(program)
    rows = {
        path: trace.series("param_grad", "rms", trace.site(path, "param_grad"))
        for path in ("0.weight", "1.weight")
    }
    assert np.isfinite(rows["1.weight"]).sum() == 30
    assert np.isfinite(rows["0.weight"]).sum() == (30 if is_stepped else 14)


def test_a_frozen_parameter_is_a_site_with_statistics_of_its_first_sample(trace_here):
    model = mlp()
    model[0].requires_grad_(False)
    trace = trace_here(lambda: classify(model, torch.randn(6, 4)))
    trainable = {site.path: site.requires_grad for site in trace.sites_of("param")}
    assert trainable == {"0.weight": False, "0.bias": False, "2.weight": True, "2.bias": True}
    sampled = trace.series("param", "n", trace.site("0.weight", "param"))
    assert sampled[0] > 0
    assert np.isnan(sampled[1:]).all()
    assert {site.path for site in trace.sites_of("param_grad")} == {"2.weight", "2.bias"}


def test_a_sparse_embedding_gradient_is_sampled(trace_here):
    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(50, 4, sparse=True)
            self.head = nn.Linear(4, 3)

        def forward(self, tokens):
            return self.head(self.embed(tokens).mean(dim=1))

    trace = trace_here(lambda: classify(Bag(), torch.randint(50, (6, 5))))
    gradient = trace.site("embed.weight", "param_grad")
    assert (trace.series("param_grad", "n", gradient) > 0).all()
    assert (trace.series("update", "rms", trace.site("embed.weight", "update")) > 0).all()


def test_a_row_that_several_tokens_touch_has_the_sum_of_their_gradients(trace_here):
    embed, norms = nn.Embedding(9, 4, sparse=True), []

    def program():
        torch.manual_seed(0)
        optimizer = torch.optim.SparseAdam(embed.parameters(), lr=0.01)
        for _ in range(4):
            optimizer.zero_grad()
            (embed(torch.tensor([1, 1, 1, 5, 5, 8])) * torch.randn(6, 4)).sum().backward()
            rows = embed.weight.grad.to_dense()[[1, 5, 8]].double()
            norms.append(rows.square().mean().sqrt().item())
            optimizer.step()

    trace = trace_here(program)
    gradient = trace.series("param_grad", "rms", trace.sites_of("param_grad")[0])
    assert gradient == pytest.approx(norms, rel=1e-5)


def test_a_half_precision_model_is_sampled(trace_here):
    model = mlp().to(torch.bfloat16)
    trace = trace_here(lambda: classify(model, torch.randn(6, 4, dtype=torch.bfloat16)))
    assert trace.site("0.weight", "param").dtype == "bfloat16"
    assert (trace.series("update", "rms", trace.site("0.weight", "update")) >= 0).all()


def test_an_optimizer_over_bare_tensors_is_traced_under_its_own_names(trace_here):
    weight = torch.randn(3, requires_grad=True)
    optimizer = torch.optim.Adam([weight], lr=0.1)

    def program():
        for _ in range(2):
            optimizer.zero_grad()
            weight.square().sum().backward()
            optimizer.step()

    trace = trace_here(program)
    assert [site.path for site in trace.sites_of("update")] == ["Adam.group0.0"]
    assert len(trace.steps) == 2


def test_the_total_gradient_norm_is_recorded_on_sampled_steps(trace_here):
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    witness = Witness(model, optimizer)
    trace = trace_here(lambda: classify(model, torch.randn(6, 4), optimizer=optimizer))
    expected = [
        np.sqrt(sum((gradient**2).sum() for gradient in step.values()))
        for step in witness.gradients
    ]
    assert trace.steps.grad_norm == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "layer",
    [nn.Linear(5, 7), nn.Conv2d(4, 6, 3), nn.Conv1d(4, 6, 5, groups=2)],
    ids=lambda layer: type(layer).__name__,
)
def test_fans_are_those_of_torch(layer):
    expected = nn.init._calculate_fan_in_and_fan_out(layer.weight)
    assert tuple(fans(layer.weight, layer).values()) == (*expected, 0)  # filters: the first axis


def test_no_fans_are_claimed_where_the_orientation_is_unknown():
    for layer in (nn.Embedding(5, 7), nn.ConvTranspose2d(4, 6, 3)):
        assert fans(layer.weight, layer) == {}
    assert fans(torch.zeros(3), nn.Linear(3, 3)) == {}
