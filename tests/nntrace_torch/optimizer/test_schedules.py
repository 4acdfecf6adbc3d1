import warnings
from functools import partial

import torch
from torch.optim import lr_scheduler
from torch_programs import classify, mlp
from tracing import payloads

INPUTS = torch.randn(6, 4)


def schedule(make, *, before=False, every=1, steps=20):
    def program():
        warnings.simplefilter("ignore")  # PyTorch's own, on a scheduler that is stepped first
        model = mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scheduler = make(optimizer)
        for step in range(steps):
            if before:
                scheduler.step()
            classify(model, INPUTS, steps=1, optimizer=optimizer)
            if not before and step % every == every - 1:
                scheduler.step()

    return program


def test_a_scheduler_is_recorded_with_its_reach_and_how_often_it_was_stepped(trace_here):
    found = payloads(
        trace_here(schedule(lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=7))), "scheduler"
    )
    assert {payload["class"] for payload in found} == {"CosineAnnealingLR"}
    assert {payload["horizon"] for payload in found} == {7}
    assert [payload["calls"] for payload in found] == [*range(1, 17), 18, 19]
    assert found[0]["optimizer_stepped"] is True
    assert found[0]["optimizer"] == "SGD"
    assert found[0]["file"] == __file__


def test_a_scheduler_that_is_never_stepped_is_recorded_at_the_end(trace_here):
    program = schedule(lambda o: lr_scheduler.StepLR(o, step_size=5), every=99)
    [found] = payloads(trace_here(program), "scheduler")
    assert (found["class"], found["calls"], found["horizon"]) == ("StepLR", 0, 5)


def test_a_run_that_goes_on_from_a_checkpoint_is_counted_from_there(trace_here):
    def program():
        model = mlp()
        optimizer = torch.optim.Adam(model.parameters())
        scheduler = lr_scheduler.StepLR(optimizer, step_size=3)
        state = {"last_epoch": 5, "_step_count": 6}
        optimizer.state[next(model.parameters())] = {}
        scheduler.load_state_dict(state)
        for _ in range(3):
            classify(model, INPUTS, steps=1, optimizer=optimizer)
            scheduler.step()

    found = payloads(trace_here(program), "scheduler")
    assert found[-1]["calls"] == 2
    assert found[0]["optimizer_stepped"] is None


def test_the_number_at_the_last_optimizer_step_is_recorded_at_the_end(trace_here):
    found = payloads(
        trace_here(schedule(lambda o: lr_scheduler.StepLR(o, step_size=3), steps=20)), "scheduler"
    )
    assert found[-1]["calls"] == 19


def test_a_scheduler_that_is_stepped_first_is_told_from_one_that_is_not(trace_here):
    found = payloads(
        trace_here(schedule(lambda o: lr_scheduler.StepLR(o, step_size=3), before=True, steps=2)),
        "scheduler",
    )
    assert found[0]["optimizer_stepped"] is False


def test_of_schedulers_one_after_another_the_whole_counts(trace_here):
    def make(optimizer):
        warm_up = lr_scheduler.LinearLR(optimizer, total_iters=4)
        decay = lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
        return lr_scheduler.SequentialLR(optimizer, [warm_up, decay], milestones=[4])

    found = payloads(trace_here(schedule(make, steps=4)), "scheduler")
    assert [payload["calls"] for payload in found] == [1, 2, 3]
    assert {payload["class"] for payload in found} == {"SequentialLR"}
    assert {payload["horizon"] for payload in found} == {14}


def test_the_reach_of_a_schedule_of_hugging_face_is_that_which_its_function_was_given(trace_here):
    def factor(step, *, num_warmup_steps, num_training_steps):
        return min(1.0, step / num_warmup_steps)

    given = partial(factor, num_warmup_steps=2, num_training_steps=30)
    found = payloads(trace_here(schedule(lambda o: lr_scheduler.LambdaLR(o, given))), "scheduler")
    assert {payload["horizon"] for payload in found} == {30}


def test_a_scheduler_of_losses_and_one_without_an_end_say_no_reach(trace_here):
    def program():
        model = mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        plateau = lr_scheduler.ReduceLROnPlateau(optimizer)
        other = lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        classify(model, INPUTS, steps=1, optimizer=optimizer)
        plateau.step(0.5)
        other.step()
        classify(model, INPUTS, steps=1, optimizer=optimizer)

    found = payloads(trace_here(program), "scheduler")
    assert [payload["horizon"] for payload in found] == [None, None]
    assert all(payload["optimizer_stepped"] for payload in found)


def test_what_a_scheduler_of_a_metric_was_given_is_recorded(trace_here):
    def program():
        model = mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, mode="max")
        for value in (3.0, torch.tensor(1.0), float("nan"), 2):
            classify(model, INPUTS, steps=1, optimizer=optimizer)
            scheduler.step(value)
        classify(model, INPUTS, steps=1, optimizer=optimizer)

    last = payloads(trace_here(program), "scheduler")[-1]
    assert (last["mode"], last["first"], last["last"], last["lowest"]) == ("max", 3.0, 2.0, 1.0)


def test_schedulers_that_are_gone_make_room_for_those_that_are_built_anew(trace_here):
    def program():
        for _ in range(70):
            schedule(lambda o: lr_scheduler.StepLR(o, step_size=3), steps=2)()

    found = payloads(trace_here(program), "scheduler")
    assert [*dict.fromkeys(payload["scheduler"] for payload in found)] == [*range(65)]
