import numpy as np
import pytest
from rules.builders import batches, evaluated, event, findings, site, skip_reasons, trace_of


def shifted(mean=0.0, std=1.0, examples=200, loss=None, shape=(32, 8), **facts):
    moments = {"input_mean": mean, "input_std": std, "input_shape": [32, 8], **facts}
    rows = batches(10, input_mean=0.0, input_std=1.0, batch_size=32)
    inputs = site("input.0", "input", shape=list(shape), mean=0.0)
    events = evaluated([0.5] * 2, examples=examples, **moments)
    return trace_of(steps=60, loss=loss, sites=[inputs], batches=rows, events=events)


@pytest.mark.parametrize(("mean", "found"), [(0.49, 0), (0.51, 1), (-0.51, 1)])
def test_a_mean_half_a_deviation_away_in_evaluation_is_a_warning(mean, found):
    assert len(findings("DAT14", shifted(mean=mean))) == found


@pytest.mark.parametrize(("std", "found"), [(1.99, 0), (2.01, 1), (0.51, 0), (0.49, 1)])
def test_a_scale_that_differs_by_two_in_evaluation_is_a_warning(std, found):
    assert len(findings("DAT14", shifted(std=std))) == found


def test_a_shift_is_told_of_at_the_line_that_evaluates():
    [finding] = findings("DAT14", shifted(mean=3.0, file="train.py", line=7))
    assert (finding.location.file, finding.location.line) == ("train.py", 7)


def test_a_few_evaluation_examples_say_nothing():
    assert skip_reasons("DAT14", shifted(mean=3.0, examples=15))


@pytest.mark.parametrize(("part", "found"), [("", True), ("linear", False)])
def test_what_a_part_was_given_by_another_is_not_the_data_though_as_long(part, found):
    trace = shifted(mean=3.0, shape=(32, 6, 16), input_shape=[32, 6, 48], part=part)
    assert bool(skip_reasons("DAT14", trace)) is not found


@pytest.mark.parametrize(("shape", "found"), [([4, 8], True), ([4, 16], False), ([4, 3, 8], False)])
def test_a_part_called_with_another_kind_of_tensor_is_no_evaluation(shape, found):
    assert bool(skip_reasons("DAT14", shifted(mean=3.0, input_shape=shape))) is not found


def test_the_spread_of_single_examples_is_not_that_of_the_data():
    single = [
        event(
            "evaluation", n, group=0, examples=20, input_shape=[1, 8], input_mean=m, input_std=0.3
        )
        for n, m in enumerate([-1.0, 1.0, -0.9, 0.9])
    ]
    rows = batches(10, input_mean=0.0, input_std=1.0, batch_size=32)
    inputs = site("input.0", "input", shape=[32, 8], mean=0.0)
    trace = trace_of(steps=60, sites=[inputs], batches=rows, events=single)
    assert findings("DAT14", trace) == []
    assert skip_reasons("DAT14", trace) == []


@pytest.mark.parametrize(("examples", "found"), [(15, 0), (16, 1)])
def test_states_in_which_an_agent_acts_are_no_evaluation(examples, found):
    moments = {"input_mean": 3.0, "input_std": 1.0, "input_shape": [1, 8], "examples": examples}
    acting = [event("evaluation", step, group=0, **moments) for step in range(20)]
    rows = batches(10, input_mean=0.0, input_std=1.0, batch_size=32)
    inputs = site("input.0", "input", shape=[32, 8], mean=0.0)
    trace = trace_of(steps=60, sites=[inputs], batches=rows, events=acting)
    assert len(findings("DAT14", trace) if found else skip_reasons("DAT14", trace)) == 1


@pytest.mark.parametrize(
    ("loader", "calls", "acts"), [(None, 200, True), (None, 199, False), (1, 200, False)]
)
def test_calls_of_one_example_each_by_hand_are_an_agents_acts(loader, calls, acts):
    trace = shifted(mean=3.0, loader=loader, calls=calls, examples=200)
    assert bool(skip_reasons("DAT14", trace)) is acts


def test_evaluations_of_another_model_are_left_out():
    assert skip_reasons("DAT14", shifted(mean=3.0, model="Critic"))


@pytest.mark.parametrize(("last", "found"), [(5, 0), (9, 1)])
def test_training_after_the_last_evaluation_may_be_that_of_another_model(last, found):
    means = [0.0] * 5 + [100.0] * 5
    rows = batches(10, input_mean=means, input_std=1.0, batch_size=32)
    moments = {"input_mean": 0.0, "input_std": 1.0, "input_shape": [32, 8]}
    events = [event("evaluation", step, group=0, examples=200, **moments) for step in (2, last)]
    inputs = site("input.0", "input", shape=[32, 8], mean=0.0)
    trace = trace_of(steps=60, sites=[inputs], batches=rows, events=events)
    assert len(findings("DAT14", trace)) == found


@pytest.mark.parametrize(("std", "explains"), [(0.49, ("LOS01",)), (2.1, ())])
def test_training_inputs_of_a_larger_scale_are_why_the_first_loss_is_high(std, explains):
    [finding] = findings("DAT14", shifted(std=std))
    assert finding.explains == explains


@pytest.mark.parametrize(("loss", "explains"), [((2.0, 0.8), ("LOS11",)), ((2.0, 1.2), ())])
def test_other_inputs_are_why_evaluations_of_what_learns_are_at_chance(loss, explains):
    [finding] = findings("DAT14", shifted(mean=3.0, loss=np.repeat(loss, 30)))
    assert finding.explains == explains


def test_steps_of_a_head_that_has_another_input_say_nothing_of_this_one():
    own = np.where(np.arange(60) < 30, 0.0, np.nan)
    inputs = [
        site("input.0", "input", shape=[32, 8], mean=own),
        site("Linear.input.0", "input", shape=[32, 2], mean=own[::-1]),
    ]
    means = [0.0] * 5 + [100.0] * 5
    rows = [
        {**row, "step": 6 * n}
        for n, row in enumerate(batches(10, input_mean=means, input_std=1.0, batch_size=32))
    ]
    moments = {"input_mean": 0.0, "input_std": 1.0, "input_shape": [32, 8]}
    events = evaluated([0.5] * 20, examples=200, **moments)
    events = [{**one, "step": 50 + n} for n, one in enumerate(events)]
    trace = trace_of(steps=60, sites=inputs, batches=rows, events=events)
    assert findings("DAT14", trace) == skip_reasons("DAT14", trace) == []
    alone = trace_of(steps=60, sites=inputs[:1], batches=rows, events=events)
    assert findings("DAT14", alone)
