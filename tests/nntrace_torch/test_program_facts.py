"""Facts about a program that are recorded once: devices, rebuilt optimizers, idle gradients."""

import sys
from types import ModuleType, SimpleNamespace

import torch
from nntrace_torch.program.devices import queue
from torch import nn
from torch.nn import functional
from torch_programs import classify, mlp

from nntrace.adapter.devices import accelerator
from nntrace.schema import Role

INPUTS = torch.randn(6, 4)


def payloads(trace, kind):
    return [event.payload for event in trace.events_of(kind)]


def test_the_device_of_the_model_is_recorded_once(trace_here):
    [payload] = payloads(trace_here(lambda: classify(mlp(), INPUTS, steps=3)), "device")
    assert payload["device"] == "cpu"


def test_an_accelerator_is_found_by_its_driver_unless_it_is_hidden(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "gpus" / "0000:01:00.0").mkdir(parents=True)
    (tmp_path / "none").mkdir()
    assert accelerator(tmp_path / "gpus", tmp_path / "none") == "cuda"
    assert accelerator(tmp_path / "none", tmp_path / "none") is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert accelerator(tmp_path / "gpus", tmp_path / "none") is None


def test_copies_from_accelerators_with_streams_and_events_are_not_waited_for():
    assert queue(torch.device("cuda", 1)) is torch.cuda
    assert queue(torch.device("xpu")) is torch.xpu
    assert queue(torch.device("cpu")) is None
    assert queue(torch.device("meta")) is None


def test_an_optimizer_built_anew_for_the_same_parameters_keeps_its_name(trace_here):
    def program():
        model = mlp()
        for _ in range(3):
            optimizer = torch.optim.Adam(model.parameters(), weight_decay=0.1)
            classify(model, INPUTS, steps=2, optimizer=optimizer)

    trace = trace_here(program)
    assert set(trace.steps.optimizer) == {"Adam"}
    found = payloads(trace, "optimizer")
    assert [payload["built"] for payload in found] == [1, 2, 3]
    assert found[0]["stateful"] is True
    assert found[0]["decoupled"] is False


def test_an_optimizer_tells_in_which_cell_of_a_notebook_it_steps(trace_here, monkeypatch):
    shell = SimpleNamespace(execution_count=0)
    ipython = SimpleNamespace(get_ipython=lambda: shell)

    def program():
        model = mlp()
        for cell in (7, 8):
            shell.execution_count = cell
            optimizer = torch.optim.Adam(model.parameters())
            classify(model, INPUTS, steps=2, optimizer=optimizer)

    monkeypatch.setitem(sys.modules, "IPython", ipython)
    found = payloads(trace_here(program), "optimizer")
    assert [(one["built"], one["cell"]) for one in found] == [(1, 7), (2, 8)]


def test_optimizers_of_one_line_for_different_models_are_different(trace_here):
    def program():
        for _ in range(2):
            model = mlp()
            classify(model, INPUTS, optimizer=torch.optim.SGD(model.parameters(), lr=0.1))

    trace = trace_here(program)
    assert len(set(trace.steps.optimizer)) == 2
    assert [payload["built"] for payload in payloads(trace, "optimizer")] == [1, 1]
    assert payloads(trace, "optimizer")[0]["stateful"] is False


def test_updates_know_rate_and_decay_of_their_group(trace_here):
    def program():
        model = mlp()
        weights, biases = (
            [p for p in model.parameters() if (p.dim() > 1) is many] for many in (True, False)
        )
        groups = [{"params": weights, "weight_decay": 0.01}, {"params": biases, "lr": 0.2}]
        optimizer = torch.optim.SGD(groups, lr=0.1, weight_decay=0.0)
        classify(model, INPUTS, optimizer=optimizer)

    updates = trace_here(program).sites_of(Role.UPDATE)
    found = [(len(one.shape), round(one.lr, 6), round(one.weight_decay, 6)) for one in updates]
    assert sorted(found) == [(1, 0.2, 0.0), (1, 0.2, 0.0), (2, 0.1, 0.01), (2, 0.1, 0.01)]


def test_a_frozen_parameter_is_recorded_once(trace_here):
    model = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 3))
    model[0].requires_grad_(False)
    trace = trace_here(lambda: classify(model, INPUTS, steps=4))
    std = trace.series(Role.PARAM, "std", trace.site("0.weight", Role.PARAM))
    assert std[0] > 0
    assert not (std[1:] > 0).any()


def test_backward_passes_without_an_optimizer_step_are_recorded(trace_here):
    model = mlp()

    def program():
        for _ in range(40):
            functional.cross_entropy(model(INPUTS), torch.arange(6) % 3).backward()

    trace = trace_here(program)
    found = payloads(trace, "idle")
    assert [payload["backwards"] for payload in found] == [32, 36, 40]
    assert found[0]["file"] == __file__
    assert len(trace.steps) == 0


def test_updates_by_hand_and_gradients_of_inputs_are_not_idle(trace_here):
    def by_hand():
        model = mlp()
        for _ in range(40):
            functional.cross_entropy(model(INPUTS), torch.arange(6) % 3).backward()
            for parameter in model.parameters():
                parameter.data -= 0.1 * parameter.grad
                parameter.grad = None

    def attack():
        model = mlp()
        picture = INPUTS.clone().requires_grad_()
        for _ in range(40):
            functional.cross_entropy(model(picture), torch.arange(6) % 3).backward()

    for program in (by_hand, attack):

        def train_too(program=program):
            program()
            classify(mlp(), INPUTS, steps=1)

        assert not payloads(trace_here(train_too), "idle")


class Twins(nn.Module):
    def __init__(self):
        super().__init__()
        self.inside = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU())
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.inside(x) - self.inside(x.flip(0)))


def test_a_batch_norm_called_twice_in_one_forward_is_recorded_once(trace_here):
    trace = trace_here(lambda: classify(Twins(), INPUTS, steps=3))
    assert [payload["path"] for payload in payloads(trace, "reused")] == ["inside.1"]


def test_a_batch_norm_called_in_two_forwards_of_a_step_is_not_reused(trace_here):
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))

    def twice(outputs, targets):
        return functional.cross_entropy(outputs + model(INPUTS), targets)

    assert not payloads(trace_here(lambda: classify(model, INPUTS, loss_function=twice)), "reused")


BERT = """
from torch import nn

class Pooler(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(8, 8)

    def forward(self, hidden):
        return self.dense(hidden)

class Bert(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 8))
        self.pooler = Pooler()

    def forward(self, inputs):
        hidden = self.layers(inputs)
        return hidden, self.pooler(hidden)
"""


def test_parameters_of_what_a_library_built_within_a_module_share_its_number(trace_here, tmp_path):
    library = ModuleType("bert")
    path = tmp_path / "site-packages" / "bert.py"
    exec(compile(BERT, path, "exec"), vars(library))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.bert, self.head = library.Bert(), nn.Linear(8, 3)

        def forward(self, inputs):
            return self.head(self.bert(inputs)[0])

    sites = trace_here(lambda: classify(Model(), INPUTS, steps=3)).sites_of(Role.PARAM)
    numbers = {site.path: site.library_object for site in sites if site.path.endswith("weight")}
    assert numbers == {
        "bert.layers.0.weight": 0,
        "bert.layers.2.weight": 0,
        "bert.pooler.dense.weight": 0,
        "head.weight": None,
    }
