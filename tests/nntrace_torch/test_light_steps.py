"""Where steps are short, of most of them only what cannot be given up is noted."""

import math
import warnings

import pytest
import torch
from nntrace_torch.light_steps import LightSteps
from nntrace_torch.tracer import Tracer
from nonfinite_programs import PROGRAMS
from torch import nn
from torch.nn import functional
from tracing import tracing

from nntrace.recorder import Cadence
from nntrace.recorder.plain_facts import PlainFacts
from nntrace.trace import Trace

STEPS = 200


@pytest.fixture
def lightly(monkeypatch, tmp_path):
    """Runs a program whose steps are light ones from the second on, whatever they take."""
    seen = {"light": 0}
    note, end_step = LightSteps._stepped, Tracer._end_step

    def noted(self, *args):
        note(self, *args)
        seen["light"] += self.are_on

    def ended(self, *args, **kwargs):
        end_step(self, *args, **kwargs)
        plain = not (kwargs.get("has_closure") or self._facts.phase_before or self._compiles_graphs)
        if plain and self._samples.current is None and not self._light.are_on:
            self._light.begin(self._facts.ended_ns)

    monkeypatch.setattr(LightSteps, "_stepped", noted)
    monkeypatch.setattr(Tracer, "_end_step", ended)
    monkeypatch.setattr(PlainFacts, "step_ended", lambda self, *args, **kwargs: None)
    monkeypatch.setattr(PlainFacts, "followed", lambda self, steps: None)
    monkeypatch.setattr(PlainFacts, "look_closer", lambda self: None)
    monkeypatch.setattr(PlainFacts, "__init__", _light_from_the_start)
    monkeypatch.setattr("tracing.Cadence", _seldom)

    def run(program):
        with tracing(tmp_path / "run", every=None) as recorder:
            program()
        assert recorder.failure is None
        return Trace.open(tmp_path / "run"), seen["light"]

    return run


def _light_from_the_start(self, budget, grace_ns):
    self.wants_light, self.spent_ns = True, 0.0


def _seldom(budget, every):
    return Cadence(0.0, every, grace_ns=0, dense_steps=1)


class Training:
    """An MLP on random data; what differs from step to step is given by functions of the step."""

    def __init__(self, optimizer=torch.optim.SGD, **settings):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
        self.optimizer = optimizer(self.model.parameters(), lr=0.05, **settings)
        self.inputs, self.targets = torch.randn(STEPS, 8, 4), torch.randint(3, (STEPS, 8))
        self.losses = []

    def loss(self, step):
        return functional.cross_entropy(self.model(self.inputs[step]), self.targets[step])

    def steps(self, number=STEPS, first=0, each=lambda step: None):
        for step in range(first, first + number):
            each(step)
            self.optimizer.zero_grad()
            loss = self.loss(step)
            loss.backward()
            self.losses.append(loss.item())
            self.optimizer.step()

    def scaled_steps(self, scaler, number, first=0):
        for step in range(first, first + number):
            self.optimizer.zero_grad()
            loss = self.loss(step)
            self.losses.append(loss.item())
            scaler.scale(loss).backward()
            scaler.step(self.optimizer)
            scaler.update()


def test_of_every_light_step_there_are_loss_rate_phase_and_passes(lightly):
    training = Training()

    def slower(step):
        training.optimizer.param_groups[0]["lr"] = 0.05 / (1 + step)

    trace, light = lightly(lambda: training.steps(each=slower))
    steps = trace.steps
    assert light > STEPS - 5
    assert steps.step.tolist() == list(range(STEPS))
    assert steps.loss.tolist() == training.losses
    assert steps.lr.tolist() == pytest.approx([0.05 / (1 + step) for step in range(STEPS)])
    assert set(steps.phase) == {"train"}
    assert set(steps.optimizer) == {"SGD"}
    assert steps.backwards.tolist() == [1] * STEPS
    assert (steps.duration_ns[1:] > 0).all()
    assert all(map(math.isnan, steps.batch_size[5:]))


def test_the_weights_are_those_of_an_untraced_training(lightly):
    bare, traced = Training(torch.optim.Adam), Training(torch.optim.Adam)
    bare.steps()
    lightly(traced.steps)
    for one, other in zip(bare.model.parameters(), traced.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_losses_of_several_passes_are_added(lightly):
    training, sums = Training(), []

    def program():
        for step in range(60):
            training.optimizer.zero_grad()
            losses = [training.loss(step), training.loss(step + 60)]
            for loss in losses:
                loss.backward()
            sums.append(sum(loss.item() for loss in losses))
            training.optimizer.step()

    trace, light = lightly(program)
    assert light > 50
    assert trace.steps.loss.tolist() == sums
    assert trace.steps.backwards.tolist() == [2] * 60


def test_optimizers_that_take_turns_keep_their_names_and_losses(lightly):
    first, second = Training(), Training(torch.optim.Adam)

    def program():
        for step in range(80):
            (second if step % 2 else first).steps(1, step)

    trace, light = lightly(program)
    assert light > 60
    assert list(trace.steps.optimizer) == ["SGD", "Adam.2"] * 40
    assert trace.steps.loss[::2].tolist() == first.losses
    assert trace.steps.loss[1::2].tolist() == second.losses


def test_an_optimizer_that_steps_first_among_light_steps_is_recorded(lightly):
    training = Training()

    def program():
        training.steps(50)
        later = training.optimizer = torch.optim.Adam(training.model.parameters())
        training.steps(50, 50)
        assert later.state

    trace, _ = lightly(program)
    assert list(trace.steps.optimizer) == ["SGD"] * 50 + ["Adam.2"] * 50
    assert trace.steps.loss.tolist() == training.losses
    assert [event.payload["name"] for event in trace.events_of("optimizer")] == ["SGD", "Adam.2"]


class Lookahead(torch.optim.Optimizer):
    """Steps another optimizer within its own step."""

    def __init__(self, params, lr):
        self.inner = torch.optim.SGD(list(params), lr=lr)
        super().__init__(self.inner.param_groups[0]["params"], {"lr": lr})

    def step(self, closure=None):
        self.inner.step()


def test_an_optimizer_within_another_makes_no_steps_of_its_own(lightly):
    training = Training(Lookahead)
    trace, light = lightly(training.steps)
    assert light > STEPS - 5
    assert trace.steps.loss.tolist() == training.losses


def test_steps_with_a_closure_are_recorded_once(lightly):
    training, losses = Training(), []

    def closure(step):
        training.optimizer.zero_grad()
        loss = training.loss(step)
        loss.backward()
        losses.append(loss.item())
        return loss

    def program():
        training.steps(40)
        for step in range(40, 80):
            training.optimizer.step(lambda step=step: closure(step))

    trace, _ = lightly(program)
    assert trace.steps.loss.tolist() == training.losses + losses


def test_a_loss_far_above_the_others_is_seen_at_once(lightly):
    training = Training()

    def breaks(step):
        if step == 150:
            training.inputs[step] *= 1e4

    trace, _ = lightly(lambda: training.steps(each=breaks))
    assert [event.step for event in trace.events_of("capsule")][:1] == [150]


def test_an_infinite_loss_is_seen_before_the_losses_have_a_level(lightly):
    training = Training()
    usual = training.loss
    training.loss = lambda step: usual(step) * (math.inf if step == 5 else 1.0)
    trace, _ = lightly(lambda: training.steps(10))
    [origin] = trace.events_of("origin")
    assert (origin.step, origin.payload["where"]) == (5, "loss")


def test_an_evaluation_among_light_steps_is_seen_whole(lightly):
    training = Training()

    def evaluates(step):
        if step in (70, 140):
            training.model.eval()
            with torch.no_grad():
                for batch in range(3):
                    training.loss(batch)
            training.model.train()

    trace, light = lightly(lambda: training.steps(each=evaluates))
    assert light > STEPS - 5
    events = trace.events_of("evaluation")
    assert [event.step for event in events] == [70, 140]
    assert [event.payload["calls"] for event in events] == [3, 3]
    assert all(event.payload["loss_function"] == "cross_entropy" for event in events)
    assert trace.steps.loss.tolist() == training.losses


def test_a_model_that_was_left_in_evaluation_mode_shows(lightly):
    training = Training()
    trace, _ = lightly(lambda: training.steps(each=lambda s: training.model.train(mode=s < 100)))
    assert list(trace.steps.phase) == ["train"] * 100 + ["eval"] * (STEPS - 100)


def test_the_steps_of_a_scheduler_are_counted(lightly):
    training, schedules = Training(), []

    def program():
        training.steps(50)
        schedules.append(torch.optim.lr_scheduler.ExponentialLR(training.optimizer, 0.99))
        for step in range(50, STEPS):
            training.steps(1, step)
            schedules[0].step()

    trace, _ = lightly(program)
    events = trace.events_of("scheduler")
    counts = [event.payload["calls"] for event in events]
    assert counts[-1] == STEPS - 50
    assert counts == sorted(set(counts))
    assert all(event.payload["calls"] == event.step - 50 for event in events[:-1])


@pytest.mark.parametrize("ahead", [True, False])
def test_a_scheduler_that_is_ahead_of_its_optimizer_is_told_from_one_that_is_not(lightly, ahead):
    training, schedules = Training(), []

    def program():
        training.steps(50)
        later = torch.optim.Adam(training.model.parameters())
        training.optimizer = later
        schedules.append(torch.optim.lr_scheduler.ExponentialLR(later, 0.99))
        if ahead:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                schedules[0].step()
        for step in range(50, 90):
            training.steps(1, step)
            schedules[0].step()

    trace, _ = lightly(program)
    assert trace.events_of("scheduler")[0].payload["optimizer_stepped"] is not ahead


def test_gradients_whose_norm_is_not_finite_are_seen_where_it_is_clipped(lightly):
    training = Training()

    def program():
        for step in range(100):
            training.optimizer.zero_grad()
            training.loss(step).backward()
            if step == 60:
                training.model[0].bias.grad[0] = math.inf
            nn.utils.clip_grad_norm_(training.model.parameters(), 1.0)
            training.optimizer.step()

    trace, _ = lightly(program)
    assert trace.events_of("origin")[0].step == 60


def test_a_clipped_norm_that_is_not_finite_is_recorded_with_its_step(lightly):
    training = Training()

    def program():
        for step in range(100):
            training.optimizer.zero_grad()
            training.loss(step).backward()
            if step == 60:
                training.model[0].bias.grad[0] = math.inf
            nn.utils.clip_grad_norm_(training.model.parameters(), 1.0)
            if step != 60:
                training.optimizer.step()
        assert all(p.isfinite().all() for p in training.model.parameters())

    trace, _ = lightly(program)
    norms = trace.steps.clip_norm.tolist()
    assert math.isinf(norms[60])
    assert sum(map(math.isinf, norms)) == 1


def test_losses_differentiated_one_after_another_belong_to_their_own_steps(lightly):
    training, sums = Training(), []

    def program():
        for step in range(60):
            training.optimizer.zero_grad()
            losses = [training.loss(step + passed) for passed in range(step % 4)]
            for loss in losses:
                loss.backward()
            sums.append(sum(loss.item() for loss in losses) if losses else math.nan)
            training.optimizer.step()

    trace, light = lightly(program)
    assert light > 30
    assert trace.steps.backwards.tolist() == [step % 4 for step in range(60)]
    assert trace.steps.loss.tolist() == pytest.approx(sums, nan_ok=True)


def test_a_scaler_that_comes_among_light_steps_is_followed(lightly):
    training = Training()

    def program():
        training.steps(50)
        training.scaled_steps(torch.amp.GradScaler("cpu", init_scale=8.0), 40, first=50)

    trace, _ = lightly(program)
    assert trace.steps.loss.tolist() == pytest.approx(training.losses)


def test_a_scaler_that_is_off_leaves_light_steps_on(lightly):
    training = Training()
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    trace, light = lightly(lambda: training.scaled_steps(scaler, 50))
    assert light > 40
    assert trace.steps.loss.tolist() == pytest.approx(training.losses)


def test_an_error_in_a_light_step_is_looked_into(lightly):
    training = Training()

    def program():
        training.steps(50)
        with pytest.raises(RuntimeError):
            training.model(torch.ones(8, 5))
        training.steps(50, 50)

    trace, _ = lightly(program)
    assert trace.steps.loss.tolist() == training.losses


def test_nothing_stays_when_tracing_ends_among_light_steps(lightly):
    training, backward = Training(), torch.autograd.backward
    lightly(training.steps)
    assert torch.autograd.backward is backward
    assert "__call__" not in vars(nn.Sequential)
    training.steps(3)


# It breaks by weights that the program has just moved itself: those of some steps before do not.
NEEDS_A_SAMPLE = ("the penalty on a gradient that vanishes",)
AT_ANY_STEP = [
    name
    for name, program in PROGRAMS.items()
    if "torch.compile" not in program.source and name not in NEEDS_A_SAMPLE
]


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
@pytest.mark.filterwarnings("ignore:(var|std)\\(\\).*degrees of freedom:UserWarning")
@pytest.mark.parametrize("name", AT_ANY_STEP)
def test_the_origin_of_a_nan_is_named_in_light_steps_too(name, lightly, tmp_path):
    expected = PROGRAMS[name]
    file = tmp_path / "train.py"
    file.write_text(expected.source)
    code = compile(file.read_text(), str(file), "exec")
    trace, _ = lightly(lambda: exec(code, {"__name__": "__main__", "__file__": str(file)}))
    origin = trace.events_of("origin")[0].payload
    assert (origin["where"], origin.get("op", "")) == (expected.where, expected.op), f"{origin}"
    if expected.line is not None:
        assert (origin["file"], origin["line"]) == (str(file), expected.line), f"{origin}"
