import time
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch_programs import classify, mlp

from nntrace.recorder import Recorder


def loss_of(model, inputs):
    return functional.cross_entropy(model(inputs), torch.arange(len(inputs)) % 3)


def test_every_optimizer_step_is_a_row_with_its_loss_and_rate(trace_here):
    model, inputs = mlp(), torch.randn(6, 4)
    losses = []

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
        for _ in range(4):
            optimizer.zero_grad()
            loss = loss_of(model, inputs)
            losses.append(loss.item())
            loss.backward()
            optimizer.step()
            schedule.step()

    steps = trace_here(program).steps
    assert steps.step.tolist() == [0, 1, 2, 3]
    assert steps.loss.tolist() == losses
    assert steps.lr == pytest.approx([0.1, 0.05, 0.025, 0.0125])
    assert set(steps.optimizer) == {"SGD"}
    assert steps.batch_size.tolist() == [6] * 4
    assert (np.diff(steps.time_ns) > 0).all()
    assert (steps.overhead_ns > 0).all()


def test_the_time_before_backward_is_a_part_of_the_step(trace_here, monkeypatch):
    opened = Recorder.open

    def slowly(recorder):
        time.sleep(0.2)  # as on a busy machine, where it makes files
        opened(recorder)

    monkeypatch.setattr(Recorder, "open", slowly)
    steps = trace_here(lambda: classify(mlp(), torch.randn(6, 4), steps=6)).steps
    assert len(steps) == 6
    assert (steps.before_backward_ns[1:] <= steps.duration_ns[1:]).all()


def test_a_backward_on_tensors_without_memory_is_no_part_of_a_step(trace_here):
    """As when the operations of a step are counted before the first one."""
    model, inputs = mlp(), torch.randn(6, 4)

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        deepcopy(model).to("meta")(inputs.to("meta")).square().mean().backward()
        for _ in range(2):
            loss_of(model, inputs).backward()
            optimizer.step()

    steps = trace_here(program).steps
    assert steps.backwards.tolist() == [1, 1]
    assert np.isfinite(steps.loss).all()


def test_the_losses_of_an_accumulated_step_are_added(trace_here):
    model = mlp()
    losses = []

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            for _ in range(3):
                loss = loss_of(model, torch.randn(6, 4)) / 3
                losses.append(loss.item())
                loss.backward()
            optimizer.step()

    steps = trace_here(program).steps
    assert steps.loss == pytest.approx([sum(losses[:3]), sum(losses[3:])])


def test_a_closures_loss_is_the_one_at_the_start_of_the_step(trace_here):
    model, inputs = mlp(), torch.randn(6, 4)
    losses = [[] for _ in range(3)]

    def program():
        optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4)
        for collected in losses:

            def closure(collected=collected):
                optimizer.zero_grad()
                loss = loss_of(model, inputs)
                collected.append(loss.item())
                loss.backward()
                return loss

            optimizer.step(closure)

    trace = trace_here(program)
    assert trace.steps.loss.tolist() == [collected[0] for collected in losses]
    assert all(len(collected) > 1 for collected in losses)
    assert (trace.series("activation", "n", trace.site("0", "activation")) == 48).all()


def test_two_optimizers_take_turns_with_steps_of_their_own(trace_here):
    generator, judge = nn.Linear(2, 4), nn.Linear(4, 1)

    def program():
        first = torch.optim.Adam(judge.parameters(), lr=0.01)
        second = torch.optim.Adam(generator.parameters(), lr=0.02)
        for _ in range(3):
            first.zero_grad()
            judge(generator(torch.randn(5, 2)).detach()).mean().backward()
            first.step()
            second.zero_grad()
            (-judge(generator(torch.randn(5, 2)))).mean().backward()
            second.step()

    trace = trace_here(program)
    assert trace.steps.optimizer == ("Adam", "Adam.2") * 3
    assert trace.steps.lr == pytest.approx([0.01, 0.02] * 3)
    assert (trace.steps.gradients_cleared[3:] == 1).all()
    roots = {site.path.split(".")[0] for site in trace.sites_of("update")}
    assert len(trace.sites_of("update")) == 4, roots


def test_an_optimizer_that_steps_another_inside_counts_once(trace_here):
    class Outer(torch.optim.SGD):
        def __init__(self, parameters, inner):
            super().__init__(parameters, lr=0.1)
            self.inner = inner

        def step(self, closure=None):
            self.inner.step()

    model = mlp()
    outer = Outer(model.parameters(), torch.optim.SGD(model.parameters(), lr=0.1))
    trace = trace_here(lambda: classify(model, torch.randn(6, 4), optimizer=outer))
    assert trace.steps.optimizer == ("Outer",) * 3


def test_an_optimizer_that_waits_to_be_freed_is_none_of_the_programs(trace_here):
    old = torch.optim.Adam(mlp().parameters())
    old.itself = old
    del old
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    trace = trace_here(lambda: classify(model, torch.randn(6, 4), optimizer=optimizer))
    assert trace.steps.optimizer == ("SGD",) * 3


def test_a_step_that_raised_does_not_end_the_record_of_other_optimizers(trace_here):
    class Broken(torch.optim.SGD):
        def step(self, closure=None):
            raise ValueError("broken")

    model = mlp()
    broken = Broken(model.parameters(), lr=0.1)

    def program():
        with pytest.raises(ValueError, match="broken"):
            broken.step()
        classify(model, torch.randn(6, 4))

    assert trace_here(program).steps.optimizer == ("SGD.2",) * 3


def test_a_step_that_raised_and_is_tried_again_is_recorded(trace_here):
    class Flaky(torch.optim.SGD):
        tries = 0

        def step(self, closure=None):
            self.tries += 1
            if self.tries == 1:
                raise ValueError("flaky")
            return super().step(closure)

    model = mlp()
    flaky = Flaky(model.parameters(), lr=0.1)

    def program():
        loss_of(model, torch.randn(6, 4)).backward()
        with pytest.raises(ValueError, match="flaky"):
            flaky.step()
        flaky.step()

    assert len(trace_here(program).steps) == 1


def test_gradients_that_are_cleared_are_told_from_those_that_are_not(trace_here):
    def run(clear):
        model = mlp()

        def program():
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for _ in range(4):
                loss_of(model, torch.randn(6, 4)).backward()
                optimizer.step()
                clear(optimizer)

        return trace_here(program).steps.gradients_cleared[1:].tolist()

    assert run(lambda optimizer: optimizer.zero_grad()) == [1, 1, 1]
    assert run(lambda optimizer: optimizer.zero_grad(set_to_none=False)) == [1, 1, 1]
    assert run(lambda optimizer: None) == [0, 0, 0]


@pytest.mark.parametrize("is_frozen", [True, False])
@pytest.mark.parametrize("clears", [True, False])
def test_gradients_that_a_sampler_finds_may_be_cleared_after_it(trace_here, is_frozen, clears):
    model = mlp()

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(4):
            found = torch.randn(6, 4, requires_grad=True)
            model.requires_grad_(not is_frozen)
            for _ in range(2):
                model(found).sum().backward()
            model.requires_grad_(True)
            if clears:
                optimizer.zero_grad()
            loss_of(model, found.detach()).backward()
            optimizer.step()

    found = trace_here(program).steps.gradients_cleared[1:].tolist()
    assert found == [float(clears)] * 3


def two_in_turn(before_judge, before_maker):
    """A generator and its judge, which take turns; what is cleared before each one's backward."""
    judge, maker = mlp(), torch.nn.Linear(3, 4)

    def program():
        judges, makers = (torch.optim.SGD(one.parameters(), lr=0.1) for one in (judge, maker))
        for _ in range(5):
            before_judge(judges, makers)
            loss_of(judge, maker(torch.randn(6, 3)).detach()).backward()
            judges.step()
            before_maker(judges, makers)
            loss_of(judge, maker(torch.randn(6, 3))).backward()
            makers.step()

    return program


def test_of_optimizers_in_turn_each_is_judged_by_its_own_steps(trace_here):
    def cleared(*before):
        return trace_here(two_in_turn(*before)).steps.gradients_cleared

    def own(judges, makers):
        return judges.zero_grad()

    def the_makers(judges, makers):
        return makers.zero_grad(set_to_none=False)

    def neither(judges, makers):
        return None

    right = cleared(own, the_makers)
    assert (right[np.isfinite(right)] == 1).all()
    assert np.isfinite(right[4:]).all()
    wrong = cleared(neither, neither)
    assert (wrong[np.isfinite(wrong)] == 0).all()
    assert np.isfinite(wrong[4:]).all()
    one = cleared(own, neither)
    assert (one[4::2] == 1).all()
    assert (one[5::2] == 0).all()


def test_gradients_that_the_program_sets_itself_are_cleared_by_it(trace_here):
    weights, mixture = mlp(), torch.nn.Parameter(torch.ones(1))

    def program():
        inner = torch.optim.SGD(weights.parameters(), lr=0.1)
        outer = torch.optim.SGD([mixture], lr=0.1)
        for _ in range(5):
            outer.zero_grad()
            loss = loss_of(weights, torch.randn(6, 4) * mixture)
            [mixture.grad] = torch.autograd.grad(loss, [mixture])
            outer.step()
            inner.zero_grad()
            loss_of(weights, torch.randn(6, 4) * mixture).backward()  # adds to the other's, too
            inner.step()

    found = trace_here(program).steps.gradients_cleared
    assert (found[np.isfinite(found)] == 1).all()
    assert np.isfinite(found[4:]).all()


def test_gradients_that_the_program_writes_over_the_last_ones_add_up_to_nothing(trace_here):
    slow = mlp()

    def program():
        outer = torch.optim.SGD(slow.parameters(), lr=1.0)
        for _ in range(5):  # Reptile: the slow weights follow those of a copy that was trained
            fast = deepcopy(slow)
            inner = torch.optim.SGD(fast.parameters(), lr=0.1)
            for _ in range(2):
                inner.zero_grad()
                loss_of(fast, torch.randn(6, 4)).backward()
                inner.step()
            for one, other in zip(slow.parameters(), fast.parameters(), strict=True):
                if one.grad is None:
                    one.grad = torch.zeros_like(one)
                one.grad.data.copy_(one.data - other.data)
            outer.step()

    assert not (trace_here(program).steps.gradients_cleared == 0).any()


def test_of_two_optimizers_after_one_backward_both_are_cleared(trace_here):
    model = mlp()
    first, *_, last = model.parameters()

    def program():
        optimizers = [torch.optim.SGD([one], lr=0.1) for one in (first, last)]
        for _ in range(5):
            loss_of(model, torch.randn(6, 4)).backward()
            for optimizer in optimizers:
                optimizer.step()
            for optimizer in optimizers:
                optimizer.zero_grad()

    found = trace_here(program).steps.gradients_cleared
    assert (found[np.isfinite(found)] == 1).all()
    assert np.isfinite(found[4:]).all()


def micro_batches(before_each, perturb=0.0):
    """A loop with two micro-batches in each step."""
    model = mlp()

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(10):
            optimizer.zero_grad()
            for _ in range(2):
                before_each(optimizer)
                with torch.no_grad():
                    for parameter in model.parameters():
                        parameter.add_(perturb) if perturb else None
                loss_of(model, torch.randn(6, 4)).backward()
            optimizer.step()

    return program


def test_gradients_cleared_within_a_step_are_told_at_the_backward(trace_here):
    trace = trace_here(micro_batches(lambda optimizer: optimizer.zero_grad()))
    [event] = trace.events_of("idle")
    assert event.payload["cleared_within"] == 5
    assert event.payload["file"] == __file__


def test_the_rest_of_an_epochs_micro_batches_may_be_dropped(trace_here):
    model = mlp()

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(10):
            for number in range(1, 6):
                loss_of(model, torch.randn(6, 4)).backward()
                if number % 2 == 0:
                    optimizer.step()
                    optimizer.zero_grad()
            optimizer.zero_grad()

    assert not trace_here(program).events_of("idle")


def test_gradients_that_the_program_reads_before_it_clears_them_are_not_lost(trace_here):
    model = mlp()

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(10):
            loss_of(model, torch.randn(6, 4)).backward()  # examples of an earlier task
            earlier = [parameter.grad.clone() for parameter in model.parameters()]
            optimizer.zero_grad()
            loss_of(model, torch.randn(6, 4)).backward()
            for parameter, known in zip(model.parameters(), earlier, strict=True):
                if (parameter.grad * known).sum() < 0:
                    parameter.grad -= known * (parameter.grad * known).sum() / (known * known).sum()
            optimizer.step()
            optimizer.zero_grad()

    assert not trace_here(program).events_of("idle")


@pytest.mark.parametrize("is_leaf", [True, False])
@pytest.mark.parametrize("by_keyword", [True, False])
def test_a_backward_for_the_inputs_of_an_attack_is_no_lost_one(trace_here, is_leaf, by_keyword):
    model = mlp()

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(10):
            change = torch.zeros(6, 4, requires_grad=True)
            x = change if is_leaf else torch.randn(6, 4) + change
            called = (lambda x: model(input=x)) if by_keyword else model
            loss_of(called, x).backward()
            optimizer.zero_grad()
            loss_of(model, change.grad.sign()).backward()
            optimizer.step()

    assert not trace_here(program).events_of("idle")


@pytest.mark.parametrize("kept", [True, False])
def test_copies_of_parameters_that_get_gradients_only_before_the_step_are_not_told(
    trace_here, kept
):
    model = mlp()
    copies = [torch.nn.Parameter(one.detach().clone()) for one in model.parameters()]

    def program():
        optimizer = torch.optim.SGD(copies, lr=0.1)
        for _ in range(10):
            model.zero_grad()
            for _ in range(2):
                loss_of(model, torch.randn(6, 4)).backward()
            for one, copy in zip(model.parameters(), copies, strict=True):
                copy.grad = one.grad.clone()
            optimizer.step()
            optimizer.zero_grad(set_to_none=not kept)
            with torch.no_grad():
                for one, copy in zip(model.parameters(), copies, strict=True):
                    one.copy_(copy)

    assert not trace_here(program).events_of("idle")


def test_micro_batches_that_add_up_and_steps_at_changed_weights_are_not_told(trace_here):
    assert not trace_here(micro_batches(lambda optimizer: None)).events_of("idle")
    ascent = micro_batches(lambda optimizer: optimizer.zero_grad(), perturb=0.01)
    assert not trace_here(ascent).events_of("idle")


def test_gradients_that_are_zero_at_the_end_of_the_step_as_well_are_not_told_as_cleared(trace_here):
    model = torch.nn.Sequential(
        *(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 4), torch.nn.ReLU()),
        *(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 4), torch.nn.ReLU()),
        torch.nn.Linear(4, 3),
    )
    torch.nn.init.constant_(model[6].bias, -100.0)  # nothing behind these units has a gradient

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(10):
            for _ in range(2):
                loss_of(model, torch.randn(6, 4)).backward()
            optimizer.step()
            optimizer.zero_grad()

    assert not trace_here(program).events_of("idle")


def test_the_phase_is_the_mode_of_the_model_while_it_steps(trace_here):
    model = mlp()

    def program():
        classify(model, torch.randn(6, 4), steps=2)
        model.eval()
        classify(model, torch.randn(6, 4), steps=2)

    assert trace_here(program).steps.phase == ("train", "train", "eval", "eval")


def test_unsampled_steps_have_a_row_and_no_statistics(trace_here):
    trace = trace_here(lambda: classify(mlp(), torch.randn(6, 4), steps=7), every=3)
    assert trace.steps.sampled.tolist() == [True, False, False, True, False, False, True]
    assert trace.sampled_steps.tolist() == [0, 3, 6]
    assert np.isfinite(trace.steps.loss).all()
    assert [batch.step for batch in trace.batches] == [0, 3, 6]


def test_unsampled_steps_run_without_module_hooks(trace_here):
    from torch.nn.modules import module as hooks

    model = mlp()
    present = []

    class Probe(nn.Module):
        def forward(self, x):
            present.append(bool(hooks._global_forward_hooks or hooks._global_forward_pre_hooks))
            return x

    model.append(Probe())
    trace_here(lambda: classify(model, torch.randn(6, 4), steps=5), every=2)
    assert present == [True, False, True, False, True]


def test_backward_without_end_keeps_no_losses(trace_here):
    from nntrace_torch.tracer import Tracer

    model = mlp()
    tracers = []
    original = Tracer.install

    def install(tracer):
        tracers.append(tracer)
        return original(tracer)

    def program():
        classify(model, torch.randn(6, 4), steps=1)
        weight = torch.ones(1, requires_grad=True)
        for _ in range(3000):
            (2 * weight).backward()
        assert len(tracers[0].parts.backward._losses) <= 1024
        torch.optim.SGD([weight], lr=0.1).step()

    Tracer.install = install
    try:
        trace = trace_here(program)
    finally:
        Tracer.install = original
    assert trace.steps.loss[-1] == pytest.approx(6000)


def test_of_two_optimizers_that_take_turns_both_are_sampled_at_an_even_interval(trace_here):
    first, second = mlp(), mlp()

    def program():
        optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in (first, second)]
        inputs, targets = torch.randn(6, 4), torch.arange(6) % 3
        for _ in range(20):
            for model, optimizer in zip((first, second), optimizers, strict=True):
                optimizer.zero_grad()
                functional.cross_entropy(model(inputs), targets).backward()
                optimizer.step()

    steps = trace_here(program, every=8).steps
    sampled = [name for name, was in zip(steps.optimizer, steps.sampled, strict=True) if was]
    assert sampled.count("SGD") >= 4
    assert sampled.count("SGD.2") >= 4
