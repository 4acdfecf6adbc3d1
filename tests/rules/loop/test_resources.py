import numpy as np
import pytest
from rules.builders import event, findings, site, skip_reasons, trace_of

from nntrace.rules import Severity

MB = 1 << 20


# RUN08


def memory(values):
    return trace_of(steps=len(values), memory_bytes=[int(value * MB) for value in values])


@pytest.mark.parametrize(("per_step", "found"), [(1.25, 1), (1.15, 0)])
def test_memory_that_grows_by_a_hundred_megabytes_is_a_warning(per_step, found):
    assert len(findings("RUN08", memory([500 + per_step * n for n in range(120)]))) == found


def test_memory_that_fills_up_and_stays_is_healthy():
    assert findings("RUN08", memory([500 + min(400, 10 * n) for n in range(120)])) == []


@pytest.mark.parametrize(("per_step", "found"), [(6.6, 1), (5.8, 0), (1.5, 0)])
def test_growth_by_less_than_a_tenth_of_what_is_held_is_healthy(per_step, found):
    assert len(findings("RUN08", memory([5000 + per_step * n for n in range(120)]))) == found


@pytest.mark.parametrize(("slowest", "found"), [(2.7, 1), (2.0, 0)])
def test_growth_that_slows_down_to_less_than_a_third_in_an_eighth_is_not_steady(slowest, found):
    growth = [slowest if 66 <= step < 78 else 10.0 for step in range(120)]
    assert len(findings("RUN08", memory([500 + sum(growth[:n]) for n in range(120)]))) == found


@pytest.mark.parametrize(("count", "skipped"), [(28, True), (29, False)])
def test_few_samples_say_nothing_about_memory(count, skipped):
    assert bool(skip_reasons("RUN08", memory([500 + 9 * n for n in range(count)]))) is skipped


def test_a_variable_that_keeps_graphs_is_a_warning_at_its_line():
    kept = event("kept_graphs", 9, name="total", steps=8, file="train.py", line=12)
    [finding] = findings("RUN08", trace_of(steps=30, events=[kept]))
    assert finding.location.line == 12
    assert finding.steps == (1, 9)
    assert "`total`" in finding.message
    assert "loss.item()" in finding.advice


# RUN09

UNIT = 3e6  # nanoseconds: 200 steps of a few units take some seconds


def drift(last_ms, *, cpu=True, **columns):
    wall = [int((5 + (last_ms - 5) * n / 199) * UNIT) for n in range(200)]
    return trace_of(
        steps=200, sampled=[0], duration_ns=wall, cpu_ns=wall if cpu else int(5 * UNIT), **columns
    )


def test_steps_that_play_ever_longer_episodes_may_take_longer():
    played = [event("objective", n, terms=["other"], single_calls=8 * n) for n in range(3)]
    assert skip_reasons("RUN09", drift(20, events=played))


@pytest.mark.parametrize(("last_ms", "found"), [(12.5, 1), (9.0, 0)])
def test_steps_that_take_twice_as_long_are_a_warning(last_ms, found):
    assert [f.level for f in findings("RUN09", drift(last_ms))] == [Severity.WARNING] * found


@pytest.mark.parametrize(("growth_ms", "found"), [(2.3, 0), (2.6, 1)])
def test_growth_by_less_than_two_milliseconds_does_not_matter(growth_ms, found):
    wall = [int((1.5 + growth_ms * n / 1999) * 1e6) for n in range(2000)]
    short = trace_of(steps=2000, sampled=[0], duration_ns=wall, cpu_ns=wall)
    assert len(findings("RUN09", short)) == found


@pytest.mark.parametrize(("share", "level"), [(0.45, Severity.INFO), (0.55, Severity.WARNING)])
def test_half_of_the_growth_must_be_the_programs_processor_time(share, level):
    growth = np.linspace(0.0, 30e6, 200)
    times = {"duration_ns": 15e6 + growth, "cpu_ns": 60e6 + share * growth}
    whole = {name: values.astype(int).tolist() for name, values in times.items()}
    [finding] = findings("RUN09", trace_of(steps=200, sampled=[0], **whole))
    assert finding.level is level


@pytest.mark.parametrize(("steps", "skipped"), [(104, True), (105, False)])
def test_a_hundred_steps_after_the_first_twentieth_are_needed(steps, skipped):
    long = trace_of(steps=steps, sampled=[0], duration_ns=10**8, cpu_ns=10**8)
    assert bool(skip_reasons("RUN09", long)) is skipped


def test_a_slower_machine_is_only_noted():
    [finding] = findings("RUN09", drift(20, cpu=False))
    assert finding.level is Severity.INFO


def test_what_tracing_takes_does_not_count():
    overhead = [int(15 * n / 199 * UNIT) for n in range(200)]
    assert findings("RUN09", drift(20, overhead_ns=overhead)) == []


def test_larger_batches_take_longer_by_right():
    assert findings("RUN09", drift(20, batch_size=[8 + n for n in range(200)])) == []


def test_longer_sequences_take_longer_by_right():
    wall = [int((5 + 15 * n / 199) * UNIT) for n in range(200)]
    sampled = list(range(0, 200, 5))
    common = {"steps": 200, "sampled": sampled, "duration_ns": wall, "cpu_ns": wall}
    stays = site("input.0", "input", n=[64.0] * 40)
    grows = site("input.0", "input", n=[64.0 + n for n in range(40)])
    assert findings("RUN09", trace_of(sites=[grows], **common)) == []
    assert findings("RUN09", trace_of(sites=[stays], **common))


def test_growing_processor_time_is_seen_on_a_machine_whose_clock_time_jumps():
    wall = [int((40 + 60 * (n // 25 % 2)) * UNIT) for n in range(200)]
    cpu = [int((5 + 15 * n / 199) * UNIT) for n in range(200)]
    [finding] = findings("RUN09", trace_of(steps=200, sampled=[0], duration_ns=wall, cpu_ns=cpu))
    assert finding.level is Severity.WARNING
    assert "processor time" in finding.message


def test_growth_is_seen_where_nearly_every_step_was_sampled():
    wall = [int((5 + 15 * n / 199) * UNIT) for n in range(200)]
    times = {"duration_ns": wall, "cpu_ns": wall}
    [finding] = findings("RUN09", trace_of(steps=200, sampled=list(range(200)), **times))
    assert finding.level is Severity.WARNING


def test_sampled_steps_are_not_compared_with_others():
    wall = [int((5 if n < 120 else 20) * 2 * UNIT) for n in range(220)]
    times = {"duration_ns": wall, "cpu_ns": wall}
    sampled = list(range(120, 220))
    assert findings("RUN09", trace_of(steps=220, sampled=sampled, **times)) == []


def test_a_load_that_comes_and_goes_hides_no_growth():
    cpu = [int((5 + 15 * n / 199 + 6 * (50 <= n < 75)) * UNIT) for n in range(200)]
    assert findings("RUN09", trace_of(steps=200, sampled=[0], duration_ns=cpu, cpu_ns=cpu))


@pytest.mark.parametrize(("setback", "found"), [(8.5, 0), (5.5, 1)])
def test_times_that_fall_far_back_between_do_not_accumulate(setback, found):
    level = [5.0, 8.0, 11.0, 17.0, 17.0 - setback, 17.0 - setback, 18.0, 23.0]
    cpu = [int(level[max(0, (n - 10) * 8 // 190)] * UNIT) for n in range(200)]
    results = findings("RUN09", trace_of(steps=200, sampled=[0], duration_ns=cpu, cpu_ns=cpu))
    assert len(results) == found


def test_a_load_at_the_end_alone_is_no_growth():
    cpu = [int((1 + 0.6 * (n >= 100) + 2 * (n >= 180)) * 3 * UNIT) for n in range(200)]
    assert findings("RUN09", trace_of(steps=200, sampled=[0], duration_ns=cpu, cpu_ns=cpu)) == []


@pytest.mark.parametrize("at", [30, 100, 170])
def test_one_jump_is_another_phase_of_the_program(at):
    cpu = [int((5 + 15 * (n >= at) + n / 200) * UNIT) for n in range(200)]
    assert findings("RUN09", trace_of(steps=200, sampled=[0], duration_ns=cpu, cpu_ns=cpu)) == []


def test_a_run_of_a_second_or_two_may_have_met_a_busy_machine():
    cpu = [int((5 + 4.8 * n / 199) * 1e6) for n in range(250)]
    trace = trace_of(steps=250, sampled=[0], duration_ns=cpu, cpu_ns=cpu)
    [reason] = skip_reasons("RUN09", trace)
    assert "needs steps of 2 s together" in reason


# RUN10


def on(device="cpu", accelerator="cuda", seconds=60.0, supported=True):
    payload = {"device": device, "accelerator": accelerator, "supported": supported}
    step = int(seconds * 1e9 / 10)
    return trace_of(steps=10, duration_ns=step, events=[event("device", 0, **payload)])


@pytest.mark.parametrize(("seconds", "level"), [(60, Severity.WARNING), (59, Severity.INFO)])
def test_an_idle_accelerator_is_a_warning_for_long_runs(seconds, level):
    [finding] = findings("RUN10", on(seconds=seconds))
    assert finding.level is level


def test_a_build_that_cannot_use_it_says_so():
    [finding] = findings("RUN10", on(supported=False))
    assert "pytorch.org" in finding.advice


def test_a_model_on_the_accelerator_and_a_machine_without_are_healthy():
    assert findings("RUN10", on(device="cuda")) == []
    assert findings("RUN10", on(accelerator=None)) == []
