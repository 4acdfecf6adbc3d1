import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules import module as module_hooks
from torch_programs import Wrapped, classify, mlp, regress


def paths(trace, role="activation"):
    return [site.path for site in trace.sites_of(role)]


def test_the_statistics_of_a_small_output_are_those_of_the_whole_tensor(trace_here):
    model, inputs = mlp(), torch.randn(16, 4)
    kept = []
    model[1].register_forward_hook(lambda m, a, output: kept.append(output.detach().numpy().copy()))
    trace = trace_here(lambda: classify(model, inputs))
    site = trace.site("1", "activation")
    for stat, of in {"mean": np.mean, "std": np.std, "min": np.min, "max": np.max}.items():
        expected = [of(output.astype(np.float64)) for output in kept]
        assert trace.series("activation", stat, site) == pytest.approx(expected, rel=1e-5)
    zeros = [np.mean(output == 0) for output in kept]
    assert trace.series("activation", "zero_fraction", site) == pytest.approx(zeros)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_statistics_of_a_large_output_come_close_to_the_whole_tensors(
    trace_here, memory_format
):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1)).to(memory_format=memory_format)
    inputs = torch.randn(16, 3, 24, 24).contiguous(memory_format=memory_format)
    whole = model(inputs).detach()
    trace = trace_here(lambda: regress(model, inputs, steps=1))
    site = trace.site("0", "activation")
    assert trace.series("activation", "n", site)[0] > 2000
    std = trace.series("activation", "std", site)[0]
    assert std == pytest.approx(float(whole.std()), rel=0.1)


def test_the_gradient_of_an_activation_is_the_one_backward_computed(trace_here):
    model, inputs = mlp(), torch.randn(8, 4)
    witness = copy.deepcopy(model)
    hidden = witness[:2](inputs)
    hidden.retain_grad()
    functional.cross_entropy(witness[2](hidden), torch.arange(8) % 3).backward()
    trace = trace_here(lambda: classify(model, inputs, steps=1))
    recorded = trace.series("activation_grad", "rms", trace.site("1", "activation_grad"))[0]
    assert recorded == pytest.approx(float(hidden.grad.square().mean().sqrt()), rel=1e-5)


def test_sites_come_in_the_order_of_the_forward_pass(trace_here):
    model = Wrapped(
        lambda m, x: m.first(m.second(x)), first=nn.Linear(5, 3), second=nn.Linear(4, 5)
    )
    assert paths(trace_here(lambda: classify(model, torch.randn(6, 4)))) == ["second", "first"]


def test_a_container_that_hands_on_its_last_childs_output_is_not_repeated(trace_here):
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 5), nn.ReLU()), nn.Linear(5, 3))
    trace = trace_here(lambda: classify(model, torch.randn(6, 4)))
    recorded = trace.series("activation", "n")
    names = [path for path, column in zip(paths(trace), recorded.T, strict=True) if column.any()]
    seen = [name for name, n in zip(paths(trace), np.nansum(recorded, axis=0), strict=True) if n]
    assert seen == names == ["0.0", "0.1", "1"]


def test_a_container_that_changes_its_last_childs_output_has_statistics_of_its_own(trace_here):
    block = Wrapped(lambda m, x: x + m.inner(x), inner=nn.Linear(4, 4))
    trace = trace_here(lambda: classify(nn.Sequential(block, nn.Linear(4, 3)), torch.randn(6, 4)))
    seen = np.nansum(trace.series("activation", "n"), axis=0)
    assert [p for p, n in zip(paths(trace), seen, strict=True) if n] == ["0.inner", "0", "1"]


def test_an_in_place_activation_function_is_seen_before_and_after(trace_here):
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(inplace=True), nn.Linear(8, 3))
    trace = trace_here(lambda: classify(model, torch.randn(16, 4)))
    assert (trace.series("activation", "min", trace.site("0", "activation")) < 0).all()
    assert (trace.series("activation", "min", trace.site("1", "activation")) == 0).all()


def test_a_shared_module_is_recorded_at_its_first_call_under_its_first_path(trace_here):
    shared = nn.Linear(4, 4)
    model = nn.Sequential(shared, nn.Tanh(), shared, nn.Linear(4, 3))
    trace = trace_here(lambda: classify(model, torch.randn(6, 4), steps=1))
    assert paths(trace) == ["0", "1", "3"]
    assert len(trace.table("stats")) == len(
        {(row["step"], row["site"]) for row in trace.table("stats").to_pylist()}
    )


def test_a_module_called_several_times_is_recorded_at_each_call_in_turn(trace_here):
    twice = Wrapped(lambda m, x: 2 * x)
    model = Wrapped(
        lambda m, x: m.head(m.twice(m.twice(m.twice(x)))), twice=twice, head=nn.Linear(4, 3)
    )
    trace = trace_here(lambda: classify(model, torch.ones(6, 4), steps=5))
    means = trace.series("activation", "mean", trace.site("twice", "activation"))
    assert means.tolist() == [2.0, 4.0, 8.0, 2.0, 4.0]


def test_a_container_called_again_hands_on_its_childs_output_unrepeated(trace_here):
    tower = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    model = Wrapped(lambda m, x: m.head(m.tower(m.tower(x))), tower=tower, head=nn.Linear(4, 3))
    trace = trace_here(lambda: classify(model, torch.randn(6, 4), steps=4))
    seen = np.nansum(trace.series("activation", "n"), axis=0)
    assert [p for p, n in zip(paths(trace), seen, strict=True) if n] == [
        "tower.0",
        "tower.1",
        "head",
    ]


def test_only_the_first_forward_of_an_accumulated_step_is_recorded(trace_here):
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = [torch.full((4, 4), value) for value in (1.0, 2.0)]

    def program():
        for batch in batches:
            functional.cross_entropy(model(batch), torch.zeros(4, dtype=torch.long)).backward()
        optimizer.step()

    trace = trace_here(program)
    assert trace.series("input", "mean").tolist() == [[1.0]]
    assert trace.series("activation", "n", trace.site("0", "activation")).tolist() == [32]


def test_a_model_called_with_keyword_arguments_only_has_its_inputs_recorded(trace_here):
    model = Wrapped(lambda m, *, pixels, mask: m.head(pixels * mask), head=nn.Linear(4, 3))

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            logits = model(pixels=torch.randn(6, 4), mask=torch.ones(6, 4))
            functional.cross_entropy(logits, torch.arange(6) % 3).backward()
            optimizer.step()

    trace = trace_here(program)
    assert paths(trace, "input") == ["input.pixels", "input.mask"]
    assert trace.batches[-1].batch_size == 6


@pytest.mark.parametrize(
    "output",
    [
        lambda x: {"logits": x, "hidden": x * 2},
        lambda x: (x, x * 2),
        lambda x: [(x,)],
        lambda x: {"other": None, "nested": {"logits": x}},
    ],
    ids=["dict", "tuple", "nested list", "nested dict"],
)
def test_an_output_of_several_tensors_is_represented_by_its_first(trace_here, output):
    def first(value):
        while not isinstance(value, torch.Tensor):
            value = (
                list(value.values())[-1]
                if "nested" in value
                else (value["logits"] if isinstance(value, dict) else value[0])
            )
        return value

    inner = Wrapped(lambda m, x: output(m.body(x) * 2), body=nn.Linear(4, 3))
    model = Wrapped(lambda m, x: first(m.inner(x)), inner=inner)
    trace = trace_here(lambda: classify(model, torch.randn(6, 4)))
    assert trace.site("inner", "activation").shape == (6, 3)
    assert trace.series("activation", "n", trace.site("inner", "activation")).tolist() == [18] * 3


def test_an_activation_checkpoint_is_recorded_once(trace_here):
    from torch.utils.checkpoint import checkpoint

    model = Wrapped(
        lambda m, x: m.head(checkpoint(m.body, x, use_reentrant=False)),
        body=nn.Sequential(nn.Linear(4, 4), nn.Tanh()),
        head=nn.Linear(4, 3),
    )
    trace = trace_here(lambda: classify(model, torch.randn(6, 4)))
    assert trace.series("activation", "n", trace.site("body.1", "activation")).tolist() == [24] * 3


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_evaluation_between_steps_is_not_recorded_as_training(trace_here, mode):
    model = nn.Sequential(nn.Linear(4, 3))

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            model.eval()
            with mode():
                functional.cross_entropy(model(torch.full((9, 4), 7.0)), torch.arange(9) % 3)
            model.train()
            optimizer.zero_grad()
            functional.cross_entropy(model(torch.ones(6, 4)), torch.arange(6) % 3).backward()
            optimizer.step()

    trace = trace_here(program)
    assert (trace.series("input", "mean") == 1.0).all()
    assert trace.steps.batch_size.tolist() == [6] * 3
    assert set(trace.steps.phase) == {"train"}
    assert {batch.batch_size for batch in trace.batches} == {6}
    assert [event.payload["training"] for event in trace.events_of("mode")] == [True]


def test_a_forward_that_raises_and_is_caught_leaves_the_later_steps_recorded(trace_here):
    class Fragile(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.head = nn.Linear(4, 4), nn.Linear(4, 3)
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            hidden = self.first(x)
            if self.calls == 1:
                raise ValueError("out of luck")
            return self.head(hidden)

    model = Fragile()

    def program():
        with pytest.raises(ValueError, match="out of luck"):
            model(torch.randn(6, 4))
        classify(model, torch.randn(6, 4))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trace = trace_here(program)
    for path in ("first", "head"):
        assert (trace.series("activation", "n", trace.site(path, "activation"))[1:] > 0).all()


def test_a_module_that_raised_once_is_recorded_afterwards(trace_here):
    class Moody(nn.Module):
        calls = 0

        def forward(self, x):
            self.calls += 1
            if self.calls == 1:
                raise ValueError("not today")
            return x * 2

    model = nn.Sequential(nn.Linear(4, 3), Moody())

    def program():
        with pytest.raises(ValueError, match="not today"):
            model(torch.randn(6, 4))
        classify(model, torch.randn(6, 4))

    trace = trace_here(program)
    assert (trace.series("activation", "n", trace.site("1", "activation"))[1:] == 18).all()


def test_a_bounded_activation_function_says_its_range(trace_here):
    model = nn.Sequential(
        nn.Linear(4, 4), nn.Sigmoid(), nn.Tanh(), nn.Hardtanh(-2.0, 2.0), nn.ReLU(), nn.Linear(4, 3)
    )
    trace = trace_here(lambda: classify(model, torch.randn(6, 4)))
    ranges = [(site.range_low, site.range_high) for site in trace.sites_of("activation")]
    assert ranges == [(None,) * 2, (0, 1), (-1, 1), (-2, 2), (None,) * 2, (None,) * 2]


def test_a_module_built_during_training_is_recorded_from_then_on(trace_here):
    class Growing(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(4, 3))

        def forward(self, x):
            return self.body(x)

    model = Growing()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def program():
        classify(model, torch.randn(6, 4), optimizer=optimizer)
        model.body.append(nn.Linear(3, 3))
        optimizer.add_param_group({"params": list(model.body[1].parameters())})
        classify(model, torch.randn(6, 4), optimizer=optimizer)

    trace = trace_here(program)
    sizes = trace.series("activation", "n", trace.site("body.1", "activation"))
    assert np.nan_to_num(sizes).tolist() == [0, 0, 0, 18, 18, 18]
    assert trace.site("body.1.weight", "update") is not None


def hooks_while(forward):
    """A model that counts PyTorch's global hooks in each forward, and a list of the counts."""
    counts = []

    def counted(m, x):
        counts.append(len(module_hooks._global_forward_hooks))
        return forward(m, x)

    return Wrapped(counted, body=nn.Linear(4, 3)), counts


def test_a_forward_without_gradients_runs_without_hooks_before_a_sampled_step(trace_here):
    model, counts = hooks_while(lambda m, x: m.body(x))

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            with torch.no_grad():
                model(torch.ones(1, 4))
            classify(model, torch.randn(6, 4), steps=1, optimizer=optimizer)

    trace = trace_here(program)
    assert counts == [0, 1] * 3
    assert trace.series("activation", "n", trace.site("body", "activation")).tolist() == [18] * 3
    assert not model._forward_hooks


def test_a_forward_without_gradients_that_raises_leaves_the_step_recorded(trace_here):
    def fragile(m, x):
        if not torch.is_grad_enabled():
            raise ValueError("not now")
        return m.body(x)

    model, counts = hooks_while(fragile)
    model.register_forward_hook(lambda *_: None)

    def program():
        for _ in range(2):
            with torch.no_grad(), pytest.raises(ValueError, match="not now"):
                model(torch.ones(1, 4))
            classify(model, torch.randn(6, 4), steps=1)

    trace = trace_here(program)
    assert counts == [0, 1] * 2
    assert trace.series("activation", "n", trace.site("body", "activation")).tolist() == [18] * 2
    assert len(model._forward_hooks) == 1


def test_a_copy_made_within_a_forward_without_gradients_is_a_plain_module(trace_here):
    copies = []

    def copied(m, x):
        if not torch.is_grad_enabled():
            copies.append(pickle.loads(pickle.dumps(m.around[0]._forward_hooks)))
        return m.body(x)

    model, _ = hooks_while(copied)
    model.around = [model]

    def program():
        with torch.no_grad():
            model(torch.ones(1, 4))
        classify(model, torch.randn(6, 4), steps=2)

    trace_here(program)
    assert [hook(model, (), None) for hook in copies[0].values()] == [None]
