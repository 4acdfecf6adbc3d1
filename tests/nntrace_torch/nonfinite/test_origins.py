"""Every program's first non-finite value is traced to its operation and its line."""

import sys

import pytest
import torch
from nntrace_torch.nonfinite.weights import broken_weight
from nntrace_torch.samples.modules import Models
from nonfinite_programs import PROGRAMS
from processes import traced, write
from torch import nn
from torch.nn import functional
from torch_programs import classify, mlp
from tracing import tracing

from nntrace.diagnosis import diagnose
from nntrace.rules import select_rules
from nntrace.trace import Trace

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit.*"),
    pytest.mark.filterwarnings("ignore:(var|std)\\(\\).*degrees of freedom:UserWarning"),
]


def origins_of(name, folder, monkeypatch):
    """The `origin` events of one program, run in this process."""
    monkeypatch.setenv("NNTRACE_STRICT", "1")
    file = folder / "train.py"
    file.write_text(PROGRAMS[name].source)
    code = compile(file.read_text(), str(file), "exec")
    with tracing(folder / "run", every=None) as recorder:
        exec(code, {"__name__": "__main__", "__file__": str(file)})
    if "torch.compile" in PROGRAMS[name].source:
        torch._dynamo.reset()
    assert recorder.failure is None
    return Trace.open(folder / "run").events_of("origin"), str(file)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_origin_is_named(name, tmp_path, monkeypatch):
    expected = PROGRAMS[name]
    events, file = origins_of(name, tmp_path, monkeypatch)
    assert events, "no origin was recorded"
    origin = events[0].payload
    shown = f"{origin}"
    assert origin["where"] == expected.where, shown
    assert origin.get("op", "") == expected.op, shown
    if expected.line is not None:
        assert (origin["file"], origin["line"]) == (file, expected.line), shown
        assert "# origin" in origin["source"]
    assert origin.get("step", events[0].step) == expected.step, shown
    if expected.time_step is not None:
        assert origin["time_step"] == expected.time_step, shown
    assert expected.facts in origin["what"], shown
    print(f"{name}: told at step {events[0].step}, after {origin['replay_ms']} ms of replay")


TWO_RANKS = """
import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F

dist.init_process_group("gloo")
torch.manual_seed(dist.get_rank())
model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
model = nn.parallel.DistributedDataParallel(model)
optimizer = torch.optim.AdamW(model.parameters())
for step in range(4):
    inputs = torch.randn(6, 4)
    if step == 2 and dist.get_rank() == 1:
        inputs[3, 1] = float("nan")
    optimizer.zero_grad()
    F.cross_entropy(model(inputs), torch.arange(6) % 3).backward()
    optimizer.step()
dist.destroy_process_group()
"""


def launched(folder):
    launcher = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "ddp.py")
    process = traced(folder, "--out", "run", *launcher)
    assert process.returncode == 0, process.stderr


def test_a_value_that_broke_on_one_rank_only_is_told_from_the_first(folder):
    write(folder, "ddp.py", TWO_RANKS)
    launched(folder)
    (finding, *_) = diagnose(Trace.open(folder / "run"), rules=select_rules(["NUM01"])).findings
    assert "`input.0` comes in with non-finite values" in finding.message
    assert "first in example 3" in finding.message
    assert finding.evidence["rank"] == 1
    assert finding.steps[0] == 2


def test_an_operation_that_broke_on_one_rank_only_is_named_with_its_rank_and_line(folder):
    source = TWO_RANKS.replace(
        "nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))", "Share(), nn.Linear(8, 3))"
    ).replace(
        "dist.init_process_group",
        "class Share(nn.Module):\n"
        "    def forward(self, h):\n"
        "        return h / h.abs().sum(1, keepdim=True)  # origin\n\n"
        "dist.init_process_group",
    )
    source = source.replace('inputs[3, 1] = float("nan")', "model.module[0].bias.data.zero_()")
    source = source.replace(
        "    optimizer.zero_grad()", "        inputs[3] = 0\n    optimizer.zero_grad()"
    )
    write(folder, "ddp.py", source)
    launched(folder)
    (finding, *_) = diagnose(Trace.open(folder / "run"), rules=select_rules(["NUM01"])).findings
    assert "1 of 6 divisors are 0, on rank 1" in finding.message
    assert finding.location.file.endswith("ddp.py")
    assert finding.location.source.endswith("# origin")
    [first] = diagnose(Trace.open(folder / "run"), rules=select_rules(["DST05"])).findings
    assert "rank 1" in first.message


def test_detection_leaves_the_model_as_it_is_to_pickle_and_copy(tmp_path):
    import copy
    import io

    model = torch.nn.Sequential(torch.nn.Linear(4, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with tracing(tmp_path / "run", every=None):
        for _ in range(12):
            model(torch.randn(6, 4)).sum().backward()
            optimizer.step()
        torch.save(model, io.BytesIO())
        assert vars(copy.deepcopy(model)).keys() == vars(model).keys()
    assert "__call__" not in vars(torch.nn.Sequential)


class BreaksOnce(torch.autograd.Function):
    """The identity, whose gradient is NaN where the input says so."""

    @staticmethod
    def forward(context, x, breaks):
        context.breaks = breaks
        return x * 1

    @staticmethod
    def backward(context, gradient):
        return gradient * float("nan") if context.breaks else gradient, None


def test_the_norm_that_clipping_found_tells_a_broken_gradient_in_any_step(trace_here):
    def program():
        torch.manual_seed(0)
        model = nn.Linear(4, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(140):  # beyond the first hundred not every step is looked at
            optimizer.zero_grad()
            outputs = BreaksOnce.apply(model(torch.randn(6, 4)), step == 133)
            functional.cross_entropy(outputs, torch.arange(6) % 3).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    origin = trace_here(program, every=1000).events_of("origin")[0]
    assert (origin.step, origin.payload["seen_in"]) == (133, "gradient")


def test_gradients_that_clipping_refuses_with_an_error_are_told_where_they_broke(trace_here):
    def program():
        torch.manual_seed(0)
        model = nn.Linear(4, 3)
        loss = model(torch.zeros(6, 4)).sub(model.bias).square().sum().sqrt()  # origin
        loss.backward()
        with pytest.raises(RuntimeError, match="non-finite"):
            nn.utils.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=True)
        torch.optim.SGD(model.parameters(), lr=0.1).step()

    [origin, *_] = trace_here(program).events_of("origin")
    assert (origin.payload["where"], origin.payload["derivative"]) == ("backward", "SqrtBackward0")
    assert "# origin" in origin.payload["source"]


def test_weights_that_stay_broken_under_a_finite_loss_are_one_story(trace_here):
    def program():
        torch.manual_seed(0)
        model = nn.Linear(4, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(6):
            outputs = model(torch.zeros(6, 4))
            finite = torch.where(outputs > 9, torch.sqrt(outputs - 9), torch.zeros(()))
            optimizer.zero_grad()
            finite.square().mean().backward()
            optimizer.step()

    assert len(trace_here(program).events_of("origin")) == 1


def test_data_that_broke_the_weights_a_step_before_they_were_seen_are_the_origin(trace_here):
    def program():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        for step in range(140):  # beyond the first hundred not every step is looked at
            inputs = torch.randn(6, 4)
            if step >= 133:
                inputs[:, 2] = float("inf")  # saturates the units: finite loss, broken gradient
            optimizer.zero_grad()
            functional.mse_loss(model(inputs), torch.randn(6, 1)).backward()
            optimizer.step()

    origin = trace_here(program, every=1000).events_of("origin")[0]
    assert (origin.step, origin.payload["where"]) == (134, "data")
    assert origin.payload["step"] == 133


RAISES = """
import torch
from torch import nn

class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, seen):
        h = self.body(seen)
        h = h / h.abs().sum()  # origin
        return torch.distributions.Categorical(logits=self.head(h), validate_args=True)

policy = Policy()
optimizer = torch.optim.SGD(policy.parameters(), lr=0.1)
for step in range(3):
    chances = policy(torch.randn(4) * (step != 2))
    loss = -chances.log_prob(chances.sample())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    policy.body.bias.data.zero_()
"""


def ended_by(folder, source):
    """The origins of a program that raises."""
    file = folder / "train.py"
    file.write_text(source)
    code = compile(source, str(file), "exec")
    with tracing(folder / "run", every=None) as recorder:
        with pytest.raises(ValueError) as raised:  # noqa: PT011  any of PyTorch's
            exec(code, {"__name__": "__main__", "__file__": str(file)})
        recorder.hooks.ended_by(raised.value)
    return Trace.open(folder / "run").events_of("origin")


def test_a_program_that_a_nan_ended_with_an_error_is_told_where_it_was_born(tmp_path):
    [origin] = ended_by(tmp_path, RAISES)
    line = 1 + RAISES.splitlines().index(next(t for t in RAISES.splitlines() if "# origin" in t))
    assert (origin.payload["op"], origin.payload["line"]) == ("div", line)
    assert (origin.step, origin.payload["seen_in"]) == (2, "error")


def test_an_error_that_no_nan_led_to_has_no_origin(tmp_path):
    other = RAISES.replace("(step != 2)", "1").replace(
        "    loss.backward()",
        "    if step == 2:\n        raise ValueError('other')\n    loss.backward()",
    )
    assert ended_by(tmp_path, other) == ()


class _HalfBuilt(nn.Module):
    def __init__(self):
        """Without a call of the base class's, which a program is often told of by an error."""


def test_an_error_on_a_module_that_is_half_built_does_not_end_the_trace(tmp_path, capsys):
    def build(half_built):
        raise ValueError(type(half_built))

    with tracing(tmp_path / "run", every=None) as recorder:
        with pytest.raises(ValueError, match="_HalfBuilt") as raised:
            build(_HalfBuilt())
        recorder.hooks.ended_by(raised.value)
        assert recorder.active
    assert "tracing stopped" not in capsys.readouterr().err


def test_weights_that_the_last_step_broke_are_told_of_at_the_end(trace_here):
    alive = []

    def program():
        torch.manual_seed(0)
        model = nn.Linear(4, 3)
        optimizer = torch.optim.Adam(model.parameters())
        alive.extend((model, optimizer))  # as at the end of a script
        for step in range(140):
            optimizer.zero_grad()
            model(torch.randn(6, 4)).square().sum().backward()
            if step == 139:
                model.weight.grad[1, 2] = float("nan")
            optimizer.step()

    [origin] = trace_here(program, every=1000).events_of("origin")
    assert (origin.payload["seen_in"], origin.payload["parameter"]) == ("weights", "weight")
    assert origin.payload["step"] == 139


def test_a_mask_that_is_a_parameter_is_no_broken_weight(trace_here):
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 3)
            mask = torch.tensor([0.0, 0.0, -torch.inf])
            self.mask = nn.Parameter(mask, requires_grad=False)

        def forward(self, inputs):
            return (self.fc(inputs) + self.mask).softmax(1)

    def program():
        torch.manual_seed(0)
        model = Masked()
        optimizer = torch.optim.Adam(model.fc.parameters())
        for step in range(4):
            optimizer.zero_grad()
            chance = model(torch.randn(6, 4))[:, 2 if step == 3 else 0]
            (-chance.log().mean()).backward()
            optimizer.step()

    [origin] = trace_here(program).events_of("origin")
    assert (origin.payload["op"], origin.step) == ("log", 3)


def known_models(model):
    models = Models()
    assert models.owner_of(model) is not None
    return models


def test_weights_whose_sum_overflows_are_not_broken():
    model = nn.Linear(4, 3, dtype=torch.float16)
    nn.init.constant_(model.weight, 60_000.0)
    assert broken_weight(known_models(model)) is None


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_weight_with_one_number_that_is_not_finite_is_broken(value):
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    with torch.no_grad():
        model[1].weight[1, 2] = value
    path, parameter = broken_weight(known_models(model), trained_only=True)
    assert path == "1.weight"
    assert parameter is model[1].weight


def test_infinities_that_cancel_each_other_are_broken():
    model = nn.Linear(4, 3)
    with torch.no_grad():
        model.weight[0, :2] = torch.tensor([torch.inf, -torch.inf])
    assert broken_weight(known_models(model)) is not None


def test_healthy_weights_are_read_once(monkeypatch):
    monkeypatch.setattr(torch, "isfinite", None)
    assert broken_weight(known_models(nn.Linear(4, 3))) is None


def test_the_search_for_an_origin_does_not_make_samples_rarer(tmp_path):
    with tracing(tmp_path / "run", every=1) as recorder:
        model = mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        classify(model, torch.randn(6, 4), steps=3)
        before = recorder.account.setup_ns
        (model(torch.randn(6, 4)) - 1e9).log().mean().backward()
        optimizer.step()
        assert recorder.account.setup_ns > before


@pytest.mark.parametrize(("bits", "found"), [(0x7F812345, 0), (-1, 0), (1, 0), (0x7FC00000, 1)])
def test_an_evaluation_of_memory_that_nobody_has_written_to_says_nothing_of_the_model(
    tmp_path, bits, found
):
    """As when the operations of a model are counted with `torch.empty`; the last is `nan`."""
    memory = torch.zeros(2, 4, dtype=torch.int32)
    memory[0, :2] = torch.tensor([bits, 0x7F812345 if bits == -1 else bits])
    memory[1, 0] = 0x7FC00000
    with tracing(tmp_path / "run", every=1):
        model = mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            model(torch.randn(6, 4)).square().mean().backward()
            optimizer.step()
        with torch.no_grad():
            model(memory.view(torch.float32))
    assert len(Trace.open(tmp_path / "run").events_of("origin")) == found
