from dataclasses import replace

import pytest
from rules.builders import event, findings, skip_reasons, trace_of

from nntrace.trace import Trace

MS = 1_000_000
DDP = event("distributed", wrapper="DistributedDataParallel", group_size=2, world_size=2)


def ranks(*traces, error=None):
    whole = Trace.from_ranks(traces)
    whole.manifest = replace(whole.manifest, error=error)
    return whole


@pytest.mark.parametrize("code", ["DST04", "DST05", "DST06"])
def test_one_rank_alone_is_not_judged(code):
    assert skip_reasons(code, trace_of(steps=40)) == ["the run has one rank"]


# DST04


def timed(number, *, local=5.0, duration=20.0, steps=40, wait=0.0):
    local = [x * MS for x in local] if isinstance(local, list) else local * MS
    return trace_of(
        steps=steps,
        sampled=[],
        rank=number,
        before_backward_ns=local,
        duration_ns=int(duration * MS),
        data_wait_ns=int(wait * MS),
    )


@pytest.mark.parametrize(("slow", "found"), [(9.1, 1), (8.9, 0)])
def test_a_rank_that_delays_the_others_by_a_fifth_of_the_step_is_a_straggler(slow, found):
    results = findings("DST04", ranks(timed(0), timed(1, local=slow)))
    assert [finding.evidence["rank"] for finding in results] == [1] * found


@pytest.mark.parametrize(("slow", "found"), [(25.0, 1), (23.0, 0)])
def test_ranks_that_do_not_wait_are_compared_by_their_step_time(slow, found):
    trace = ranks(timed(0), timed(1, duration=slow), timed(2))
    assert len(findings("DST04", trace)) == found


@pytest.mark.parametrize(("slow", "found"), [(1.6, 1), (1.4, 0)])
def test_less_than_a_millisecond_of_waiting_does_not_matter(slow, found):
    trace = ranks(timed(0, local=0.5, duration=2.0), timed(1, local=slow, duration=2.0))
    assert len(findings("DST04", trace)) == found


@pytest.mark.parametrize(("every", "found"), [(3, 0), (1, 1)])
def test_a_rank_that_is_slow_now_and_then_is_no_straggler(every, found):
    local = [50.0 if step % every == 0 else 5.0 for step in range(40)]
    assert len(findings("DST04", ranks(timed(0), timed(1, local=local)))) == found


def test_waiting_for_data_is_named_as_the_cause():
    [finding] = findings("DST04", ranks(timed(0), timed(1, local=15.0, wait=9.0)))
    assert "mostly for data" in finding.message


@pytest.mark.parametrize(("steps", "skipped"), [(24, True), (25, False)])
def test_a_straggler_needs_twenty_steps_after_the_warm_up(steps, skipped):
    trace = ranks(timed(0, steps=steps), timed(1, steps=steps))
    assert bool(skip_reasons("DST04", trace)) == skipped


# DST05


def broken(number, *sites, loss=1.0):
    events = [event("nonfinite", step, role=role, site="fc") for step, role in sites]
    return trace_of(steps=20, rank=number, loss=loss, events=events)


def test_a_role_that_is_no_text_is_no_role():
    trace = ranks(broken(0, (7, ["output"])), broken(1, (9, "output")))
    [finding] = findings("DST05", trace)
    assert finding.evidence["ranks"] == [1]


def test_the_rank_whose_forward_pass_broke_first_is_named():
    trace = ranks(broken(0, (7, "param_grad")), broken(1, (7, "output"), (7, "param_grad")))
    [finding] = findings("DST05", trace)
    assert finding.evidence["ranks"] == [1]
    assert finding.steps == (7, 19)
    assert "later in that step" in finding.message


def test_an_earlier_step_counts_before_an_earlier_place():
    trace = ranks(broken(0, (6, "param_grad")), broken(1, (7, "output")))
    assert findings("DST05", trace)[0].evidence["ranks"] == [0]


def test_the_loss_tells_it_at_steps_that_were_not_sampled():
    loss = [1.0] * 7 + [float("nan")] * 13
    trace = ranks(broken(0, loss=[1.0, *loss][:20]), broken(1, loss=loss))
    assert findings("DST05", trace)[0].evidence["ranks"] == [1]


def test_ranks_that_broke_in_the_same_place_are_not_told_apart():
    assert findings("DST05", ranks(broken(0, (7, "output")), broken(1, (7, "output")))) == []


def test_an_infinite_mask_on_one_rank_is_healthy():
    assert findings("DST05", ranks(broken(0), broken(1, (0, "input")))) == []


def test_a_broken_input_is_named_before_what_it_broke():
    trace = ranks(broken(0), broken(1, (7, "output"), (7, "input")))
    assert "the input `fc` of rank 1" in findings("DST05", trace)[0].message


# DST06


def ended(number, how=None, error=None, steps=20, world=2):
    start = event("rank_start", world_size=world, local_world_size=world, pid=0)
    events = [start, event("distributed", **{**PAYLOAD, "group_size": world, "world_size": world})]
    if how:
        events.append(event("rank_stop", steps, status=how, error=error))
    return trace_of(steps=steps, rank=number, events=events)


PAYLOAD = {"wrapper": "DistributedDataParallel", "group_size": 2, "world_size": 2}


def lost(*traces, error=None):
    return [finding.evidence["ranks"] for finding in findings("DST06", ranks(*traces, error=error))]


@pytest.mark.parametrize("how", ["finished", None])
def test_ranks_that_end_together_are_healthy(how):
    assert lost(ended(0, how), ended(1, how)) == []


def test_a_rank_without_an_end_mark_beside_one_with_is_lost():
    assert lost(ended(0, "finished"), ended(1, steps=7)) == [[1]]


def test_a_rank_that_raised_took_the_silent_one_with_it():
    assert lost(ended(0), ended(1, "failed", "ValueError: bad row")) == [[1]]


def test_an_error_about_the_connection_points_at_the_other_rank():
    assert lost(ended(0, "failed", "RuntimeError: gloo: Connection closed by peer"), ended(1)) == [
        [1]
    ]


def test_the_same_failure_on_every_rank_is_no_lost_rank():
    assert lost(*(ended(n, "failed", "ValueError: bad row") for n in range(2))) == []


def test_a_run_stopped_by_hand_is_not_blamed():
    assert lost(*(ended(n, "failed", "KeyboardInterrupt: ") for n in range(2))) == []
    assert lost(ended(0, "failed", "KeyboardInterrupt: "), ended(1)) == []


@pytest.mark.parametrize(
    "error",
    [
        "ChildFailedError: Root Cause (first observed failure): [0]: time : x rank : 1 (local_rank",
        "ProcessRaisedException: -- Process 1 terminated with the following error: ValueError",
    ],
)
def test_the_launcher_names_the_rank_when_no_rank_could_say_anything(error):
    assert lost(ended(0), ended(1), error=error) == [[1]]


def test_a_rank_that_ended_with_an_exit_code_is_lost():
    assert lost(ended(0), ended(1, "failed", "SystemExit: 3")) == [[1]]
    assert lost(ended(0, "finished"), ended(1, "failed", "SystemExit: 3")) == [[1]]


def test_an_exit_when_the_launcher_stopped_the_rest_is_not_blamed():
    named = "ChildFailedError: Root Cause (first observed failure): [0]: time : x rank : 1 (local"
    assert lost(ended(0, "failed", "SystemExit: 1"), ended(1), error=named) == [[1]]


@pytest.mark.parametrize(("steps", "found"), [(20, []), (19, [[1]])])
def test_ranks_that_fail_at_the_same_step_are_not_lost_whichever_is_noticed_first(steps, found):
    named = "ChildFailedError: Root Cause (first observed failure): [0]: time : x rank : 1 (local"
    ends = [ended(0, "failed", "SystemExit: 3"), ended(1, "failed", "SystemExit: 3", steps)]
    assert lost(*ends, error=named) == found


def test_a_rank_that_never_trained_is_lost():
    assert lost(ended(0, "finished", world=3), ended(2, "finished", world=3)) == [[1]]


@pytest.mark.parametrize("here", [2, None])
def test_ranks_of_other_machines_may_write_elsewhere(here):
    start = event("rank_start", world_size=4, local_world_size=here)
    group = event("distributed", **{**PAYLOAD, "group_size": 4, "world_size": 4})
    stop = event("rank_stop", 20, status="finished")
    traces = [trace_of(steps=20, rank=n, events=[start, group, stop]) for n in range(2)]
    assert lost(*traces) == []
