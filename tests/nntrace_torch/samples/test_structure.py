"""What is gathered about a network as a whole: data flow, dropout, clipping, attention, norms."""

import copy
import math
import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from torch import nn
from tracing import tracing

from nntrace.trace import Trace


class Attention(nn.Module):
    def __init__(self, width, heads, *, fused):
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.heads, self.fused = heads, fused

    def forward(self, x):
        shape = (*x.shape[:2], 3, self.heads, x.shape[2] // self.heads)
        q, k, v = self.qkv(x).view(shape).permute(2, 0, 3, 1, 4)
        if self.fused:
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            hidden = torch.ones(x.shape[1], x.shape[1]).tril() == 0
            scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
            mixed = scores.masked_fill(hidden, -math.inf).softmax(-1) @ v
        return self.out(mixed.transpose(1, 2).flatten(2))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(4, 16, 3, padding=1), nn.BatchNorm1d(16)
        self.fused = Attention(16, 2, fused=True)
        self.plain = Attention(16, 2, fused=False)
        self.drop = nn.Dropout(0.25)
        self.one, self.two = nn.Linear(16, 16), nn.Linear(16, 3)

    def forward(self, x):
        x = functional.relu(self.norm(self.conv(x))).transpose(1, 2)
        x = x + self.fused(x)
        x = x + self.plain(x)
        return self.two(self.one(self.drop(x.mean(1))))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of six steps, the norms that clipping found, and the model's gradients by step."""
    torch.manual_seed(0)
    model = Network()
    with torch.no_grad():
        for module in (model.fused, model.plain):  # the same, so that they can be compared
            module.qkv.weight.copy_(3 * model.fused.qkv.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    run = tmp_path_factory.mktemp("structure") / "run"
    norms, gradients, weights = [], [], [model.one.weight.detach().clone()]
    with tracing(run, every=1):
        for _ in range(6):
            x = torch.randn(16, 4, 10)
            loss = functional.cross_entropy(model(x), torch.randint(0, 3, (16,)))
            optimizer.zero_grad()
            loss.backward()
            norms.append(float(nn.utils.clip_grad_norm_(model.parameters(), 0.5)))
            gradients.append([p.grad.clone() for p in model.parameters() if p.dim() > 1])
            optimizer.step()
            weights.append(model.one.weight.detach().clone())
    return Trace.open(run), norms, gradients, model


def edges(trace):
    found = set()
    for event in trace.events_of("graph"):
        names = event.payload["vertices"]
        found |= {(names[one], names[two]) for one, two in event.payload["edges"]}
    return found


def test_what_feeds_what_is_read_off_the_graph(trained):
    flow = edges(trained[0])
    assert {("conv", "norm"), ("norm", ":relu"), ("drop", "one"), ("one", "two")} <= flow
    assert {(":relu", "fused.qkv"), (":relu", ":add"), ("fused.out", ":add")} <= flow
    assert ("fused.qkv", "fused.out") not in flow
    assert not any("view" in name or "transpose" in name for edge in flow for name in edge)


def test_the_same_graph_is_recorded_once(trained):
    assert len(trained[0].events_of("graph")) == 1


class Predicted(nn.Module):
    """Two projections, the first of which is returned detached as well: a stop-gradient target."""

    def __init__(self, *, returns_target):
        super().__init__()
        self.first, self.norm, self.second = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 8)
        self.returns_target = returns_target

    def forward(self, x):
        projected = self.norm(self.first(x))
        predicted = self.second(projected)
        return (predicted, projected.detach()) if self.returns_target else predicted


@pytest.mark.parametrize("returns_target", [True, False])
def test_an_output_that_the_model_also_returns_detached_has_a_second_taker(
    tmp_path, returns_target
):
    torch.manual_seed(0)
    model = Predicted(returns_target=returns_target)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with tracing(tmp_path / "run", every=1):
        for _ in range(3):
            given = model(torch.randn(16, 4))
            predicted, target = given if returns_target else (given, torch.randn(16, 8))
            optimizer.zero_grad()
            (-functional.cosine_similarity(predicted, target).mean()).backward()
            optimizer.step()
    flow = edges(Trace.open(tmp_path / "run"))
    assert ("norm", "second") in flow
    assert (("norm", ":detach") in flow) is returns_target
    assert not any(edge == ("first", ":detach") or edge == ("second", ":detach") for edge in flow)


def test_a_dropout_layer_says_its_rate(trained):
    rates = {site.path: site.dropout_rate for site in trained[0].sites_of("activation")}
    assert rates["drop"] == 0.25
    assert rates["one"] is None


def test_the_norm_that_clipping_found_and_its_limit_are_recorded(trained):
    trace, norms, _, _ = trained
    assert trace.steps.clip_norm == pytest.approx(norms, rel=1e-5)
    assert set(trace.steps.clip_limit) == {0.5}


def test_successive_gradients_are_compared(trained):
    trace, _, gradients, _ = trained
    flat = [torch.cat([g.reshape(-1) for g in step]) for step in gradients]
    cosines = [functional.cosine_similarity(a, b, dim=0).item() for a, b in pairwise(flat)]
    assert np.isnan(trace.steps.gradient_cosine[0])
    assert trace.steps.gradient_cosine[1:] == pytest.approx(cosines, abs=1e-4)
    # Without momentum an update is the gradient times a number.
    assert trace.steps.update_cosine[1:] == pytest.approx(cosines, abs=1e-3)


def test_attention_written_out_and_fused_has_an_entropy_between_none_and_even(trained):
    trace = trained[0]
    sites = {site.path: site for site in trace.sites_of("attention")}
    assert set(sites) == {"fused", "plain"}
    for site in sites.values():
        mean = trace.series("attention", "mean", site)
        seen = mean[np.isfinite(mean)]
        assert len(seen) == 3
        assert ((seen > 0.01) & (seen < 1.0)).all(), mean


def test_entropies_are_those_of_the_rows(tmp_path):
    torch.manual_seed(0)
    module = Attention(8, 2, fused=True)
    model = nn.Sequential(module, nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    x = torch.randn(4, 8, 8)
    with tracing(tmp_path / "run", every=1):
        model(x).sum().backward()
        optimizer.step()
    trace = Trace.open(tmp_path / "run")
    q, k, _ = module.qkv(x).view(4, 8, 3, 2, 4).permute(2, 0, 3, 1, 4)
    scores = (q @ k.transpose(-1, -2) / 2).masked_fill(torch.ones(8, 8).tril() == 0, -math.inf)
    rows = scores.softmax(-1)[:, :, 1:].detach()
    entropy = -(rows * rows.clamp_min(1e-30).log()).sum(-1) / torch.arange(2, 9).log()
    # The first row has one key only and counts as the mean of the others.
    assert trace.series("attention", "mean")[0, 0] == pytest.approx(float(entropy.mean()), abs=1e-4)


def test_attention_to_keys_that_the_program_goes_on_to_change_is_seen_as_it_was_or_not_at_all(
    tmp_path,
):
    torch.manual_seed(0)
    keys, seen = torch.randn(4, 2, 8, 4), []

    class Watched(nn.Linear):
        def forward(self, x):
            q = super().forward(x).view(4, 8, 2, 4).transpose(1, 2)
            functional.scaled_dot_product_attention(q, keys, keys)
            rows = (q @ keys.transpose(-1, -2) / 2).detach().softmax(-1)
            seen.append(float(-(rows * rows.log()).sum(-1).mean()) / math.log(8))
            keys.mul_(1.5)
            return super().forward(x)

    model = Watched(8, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with tracing(tmp_path / "run", every=1):
        for _ in range(5):
            model(torch.randn(4, 8, 8)).sum().backward()
            optimizer.step()
    trace = Trace.open(tmp_path / "run")
    found = dict(zip(trace.sampled_steps, trace.series("attention", "mean")[:, 0], strict=True))
    found = {step: value for step, value in found.items() if np.isfinite(value)}
    assert found == pytest.approx({step: seen[step] for step in found}, abs=1e-4)
    assert len(found) == 2  # every other step but the first


class Bins(nn.Module):
    """Softmax over four axes: over the bins of a box's sides, or over keys that queries compare."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.layer = nn.Conv1d(6, 32, 1) if kind == "bins" else nn.Linear(6, 32)

    def forward(self, x):
        if self.kind == "bins":
            scores = torch.cat([self.layer(x)] * 2, 2).transpose(1, 2).reshape(len(x), 16, 4, 8)
        elif self.kind == "classes":
            scores = self.layer(x.transpose(1, 2)).view(len(x), 8, 4, 8)
        elif self.kind == "additive":
            hidden = self.layer(x.transpose(1, 2)).transpose(1, 2).unflatten(1, (2, 16))
            scores = torch.tanh(hidden.mean(2)[..., None] + hidden[:, :, 0, None])
        else:
            q = k = self.layer(x.transpose(1, 2)).view(len(x), 8, 2, 16).transpose(1, 2)
            scores = (q @ k.mT) / 4
        return scores.softmax(-1).square()


@pytest.mark.parametrize(
    ("kind", "found"), [("bins", 0), ("classes", 0), ("additive", 1), ("compared", 1)]
)
def test_what_a_layer_puts_out_is_no_attention_until_queries_are_compared_with_keys(
    tmp_path, kind, found
):
    model = Bins(kind)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with tracing(tmp_path / "run", every=1):
        model(torch.randn(4, 6, 8)).sum().backward()
        optimizer.step()
    assert len(Trace.open(tmp_path / "run").sites_of("attention")) == found


@pytest.mark.parametrize(("heads", "examples"), [(1, 8), (2, 8), (8, 2), (16, 2)])
def test_of_few_heads_the_attention_of_more_examples_is_sampled(tmp_path, heads, examples):
    model = nn.Sequential(Attention(16, heads, fused=True), nn.Linear(16, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with tracing(tmp_path / "run", every=1):
        model(torch.randn(16, 8, 16)).sum().backward()
        optimizer.step()
    found = Trace.open(tmp_path / "run").series("attention", "n")
    assert found[0, 0] == examples * heads * 8


def test_a_batch_norm_is_held_against_its_running_statistics(trained):
    trace, _, _, model = trained
    [site] = trace.sites_of("running_norm")
    size = trace.series("running_norm", "rms", site)
    assert site.path == "norm"
    # Its input has a variance of about a third; the running one starts at one.
    assert 0.3 < size[0] < 0.8
    assert model.norm.running_var.mean() < 1
    assert np.isnan(size[1])
    assert size[4] > size[0]


def test_the_first_sample_of_a_batch_norm_is_by_the_statistics_it_came_with(tmp_path):
    torch.manual_seed(3)
    model = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 1))
    with torch.no_grad():
        for _ in range(20):
            model(torch.randn(64, 6))
    mean, std = model[0].running_mean.clone(), model[0].running_var.sqrt()
    x = 20 * torch.randn(64, 6) + 10
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with tracing(tmp_path / "run", every=1):
        model(x).sum().backward()
        optimizer.step()
    trace = Trace.open(tmp_path / "run")
    [site] = trace.sites_of("running_norm")
    expected = ((x - mean) / std).square().mean().sqrt().item()
    assert trace.series("running_norm", "rms", site)[0] == pytest.approx(expected, rel=1e-3)


class NormOfSteps(nn.BatchNorm2d):
    """A norm of sequences of images, [steps, examples, channels, height, width]."""

    def forward(self, x):
        return super().forward(x.flatten(0, 1)).view(x.shape)


class NormOfLast(nn.BatchNorm1d):
    """A norm of features on the last axis."""

    def forward(self, x):
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (NormOfSteps(6), (4, 3, 6, 2, 2)),
        (NormOfSteps(6), (4, 6, 6, 2, 2)),
        (NormOfLast(6), (4, 3, 6)),
    ],
)
def test_the_input_of_a_norm_that_rearranges_it_is_not_held_against_its_statistics(
    tmp_path, norm, shape
):
    optimizer = torch.optim.SGD(norm.parameters(), lr=0.1)
    with tracing(tmp_path / "run", every=1):
        norm(torch.randn(shape)).square().sum().backward()
        optimizer.step()
    trace = Trace.open(tmp_path / "run")
    assert len(trace.steps) == 1
    assert not trace.sites_of("running_norm")


def test_a_huge_epsilon_does_not_look_like_wrong_running_statistics(tmp_path):
    torch.manual_seed(3)
    model = nn.Sequential(nn.BatchNorm1d(6, eps=0.8), nn.Linear(6, 1))
    x = 0.1 * torch.randn(64, 6)
    with torch.no_grad():
        for _ in range(200):
            model(x)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with tracing(tmp_path / "run", every=1):
        model(x).sum().backward()
        optimizer.step()
    trace = Trace.open(tmp_path / "run")
    [site] = trace.sites_of("running_norm")
    assert trace.series("running_norm", "rms", site)[0] == pytest.approx(1.0, rel=0.1)


def test_how_many_directions_an_output_uses_is_recorded(trained):
    trace = trained[0]
    rank = trace.series("activation", "effective_rank", trace.site("conv", "activation"))
    assert 1 < rank[0] < 16


def test_filters_that_are_zero_are_counted(tmp_path):
    model = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 3))
    with torch.no_grad():
        model[0].weight[:4] = 0
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with tracing(tmp_path / "run", every=1):
        functional.cross_entropy(model(torch.randn(8, 4)), torch.arange(8) % 3).backward()
        optimizer.step()
    trace = Trace.open(tmp_path / "run")
    site = trace.site("0.weight", "param")
    assert trace.series("param", "dead_fraction", site) == pytest.approx([0.4])


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
def test_scripted_attention_compiles_while_softmax_is_watched(tmp_path):
    with tracing(tmp_path / "run", every=1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            layer = torch.jit.script(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True))
        assert layer(torch.randn(2, 5, 8)).shape == (2, 5, 8)


class OwnParameters(nn.Sequential):
    """Its `parameters` is what its author needed."""

    def parameters(self, rate):
        return [{"params": list(nn.Module.parameters(self)), "lr": rate}]


def test_models_whose_parameters_method_is_one_of_their_own_are_sampled(trace_here):
    models = [OwnParameters(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)) for _ in range(2)]

    def program():
        for model in models:
            optimizer = torch.optim.SGD(model.parameters(0.1))
            for _ in range(2):
                model(torch.randn(6, 4)).square().mean().backward()
                optimizer.step()
            with torch.no_grad():
                copy.deepcopy(model)(torch.randn(6, 4))

    trace = trace_here(program)
    assert trace.site("2", "activation")
    assert trace.site("OwnParameters2.2", "activation")  # the other is a copy
    assert len(trace.sites_of("update")) == 8


class Layers(nn.Sequential):
    """Three layers, of which subclasses tell what they like."""

    def __init__(self):
        super().__init__(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))


class FewNames(Layers):
    def named_parameters(self):
        return {"first": self[0].weight}


class ListOfModules(Layers):
    def __init__(self):
        super().__init__()
        self.__dict__["modules"] = list(self.children())


class TreeByName(Layers):
    @property
    def named_modules(self):
        return {"first": self[0]}


class NoBuffers(Layers):
    def named_buffers(self):
        raise TypeError("there are none")


@pytest.mark.parametrize("kind", [FewNames, ListOfModules, TreeByName, NoBuffers])
def test_a_model_that_tells_of_its_parts_in_its_own_way_is_sampled_as_a_whole(trace_here, kind):
    def program():
        model = kind()
        weights = [weight for layer in model.children() for weight in layer.parameters()]
        optimizer = torch.optim.SGD(weights, lr=0.1)
        for _ in range(2):
            model(torch.randn(6, 4)).square().mean().backward()
            optimizer.step()
        model.load_state_dict(model.state_dict())
        model.eval()
        with torch.no_grad():
            model(torch.randn(6, 4))

    trace = trace_here(program)
    assert len(trace.sites_of("update")) == 6
    assert {site.path for site in trace.sites_of("activation")} == {"0", "1", "2"}
    assert len(trace.events_of("loaded")) == 1
