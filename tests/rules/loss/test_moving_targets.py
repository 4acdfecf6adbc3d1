"""Losses that say nothing of success: LOS07 and LOS08 leave them alone."""

import numpy as np
import pytest
from rules.builders import batch, batches, evaluated, event, findings, site, skip_reasons, trace_of
from rules.loss.loss_rows import noisy


def learning_by_trial(loss, **columns):
    """A regression whose targets a network makes before each step."""
    calls = [event("loss_call", 0, function="mse_loss")]
    passes = [event("evaluation", step, group=0) for step in range(20)]
    return trace_of(loss=loss, events=[*calls, *passes], **columns)


@pytest.mark.parametrize("code", ["LOS07", "LOS08"])
def test_targets_that_a_network_makes_may_grow(code):
    loss = noisy(np.linspace(1.0, 4.0, 300))
    assert findings(code, trace_of(loss=loss))
    assert "targets" in skip_reasons(code, learning_by_trial(loss))[0]


@pytest.mark.parametrize(
    ("calls", "terms", "is_trial"),
    [
        ((8, 20, 31), ["other"], True),
        ((20, 20, 20), ["other"], False),  # a recurrent model that is called for each time step
        ((0, 2, 7), ["other"], False),
        ((46, 0, 0), ["other"], False),  # its strides were read before the first step
        ((8, 20, 31), ["nll_loss"], False),
    ],
)
def test_a_model_that_is_called_as_often_as_an_episode_has_steps_learns_by_trial(
    calls, terms, is_trial
):
    events = [event("objective", n, terms=terms, single_calls=c) for n, c in enumerate(calls)]
    reasons = skip_reasons("LOS07", trace_of(loss=noisy(np.linspace(1.0, 4.0, 300)), events=events))
    assert any("the model's own calls" in reason for reason in reasons) is is_trial


@pytest.mark.parametrize(
    ("each", "terms", "is_trial"),
    [
        (3, ["other"], True),
        (1, ["other"], False),
        (300, ["other"], False),  # all steps on one batch: its loss goes on
        (3, ["mse_loss"], False),
    ],
)
def test_several_steps_on_each_batch_with_a_loss_of_their_own_are_trials(each, terms, is_trial):
    rows = batches(300, fingerprint=[step // each for step in range(300)])
    rising = noisy(np.linspace(1.0, 4.0, 300))
    trace = trace_of(loss=rising, batches=rows, events=[event("objective", terms=terms)])
    reasons = skip_reasons("LOS07", trace)
    assert any("several steps" in reason for reason in reasons) is is_trial


@pytest.mark.parametrize("code", ["LOS07", "LOS08"])
@pytest.mark.parametrize(
    ("optimizers", "terms", "function", "is_shared"),
    [
        (3, ["other"], "smooth_l1_loss", True),
        (1, ["other"], "smooth_l1_loss", False),
        (3, ["smooth_l1_loss"], "smooth_l1_loss", False),  # sparse and dense parameters
        (3, ["other"], "cross_entropy", False),
    ],
)
def test_a_loss_that_an_actor_and_its_critic_share_may_rise(
    code, optimizers, terms, function, is_shared
):
    rising = noisy(np.linspace(1.0, 4.0, 300)).tolist()
    loss = [None if step % optimizers else value for step, value in enumerate(rising)]
    names = [f"Adam.{step % optimizers}" for step in range(300)]
    events = [event("loss_call", function=function), event("objective", terms=terms)]
    reasons = skip_reasons(code, trace_of(loss=loss, optimizer=names, events=events))
    assert any("share a loss" in reason for reason in reasons) is is_shared


def growing(growth, rise, function="smooth_l1_loss"):
    """A regression of which targets and errors become so many times as large."""
    sizes = np.geomspace(1.0, growth, 300)
    known = {"loss_function": function, "target_mean": 0.0, "batch_size": 32}
    rows = [batch(step, **known, target_std=float(size)) for step, size in enumerate(sizes)]
    calls = [event("loss_call", 0, function=function)]
    return trace_of(loss=noisy(np.linspace(1.0, rise, 300), 0.01), batches=rows, events=calls)


@pytest.mark.parametrize("code", ["LOS07", "LOS08"])
def test_errors_may_grow_as_targets_do(code):
    assert "targets" in skip_reasons(code, growing(2.2, 2.5))[0]


@pytest.mark.parametrize(
    ("growth", "rise", "function", "judged"),
    [
        (1.3, 1.3, "mse_loss", False),  # 0.83 times what a model that learns nothing would have
        (1.3, 1.6, "mse_loss", True),
        (1.1, 1.0, "mse_loss", True),
        (1.3, 1.3, "l1_loss", True),
    ],
)
def test_squared_errors_that_grow_less_than_the_targets_have_fallen(growth, rise, function, judged):
    trace = growing(growth, rise, function)
    assert bool(skip_reasons("LOS07", trace)) is not judged
    if judged:
        assert findings("LOS07", trace)


@pytest.mark.parametrize(("growth", "rise"), [(1.6, 2.0), (2.2, 9.0), (30.0, 40.0)])
def test_errors_that_grow_more_than_targets_or_with_targets_that_run_away_diverge(growth, rise):
    assert findings("LOS08", growing(growth, rise))


def beside_a_copy(prefix, held=(), shape=(8, 4), calls=()):
    """A loss that rises, of a model beside one with the same parameters; some are held."""
    names = ("0.weight", "0.bias", "2.weight", "2.bias")
    sites = [site(name, role, shape=[8, 4]) for name in names for role in ("param", "update")]
    sites += [site(f"{prefix}.{name}", "param", shape=list(shape)) for name in names]
    sites += [site(f"{prefix}.{name}", "update", shape=list(shape)) for name in held]
    events = [event("loss_call", 0, function=function) for function in calls]
    return trace_of(loss=noisy(np.linspace(1.0, 4.0, 300)), sites=sites, events=events)


@pytest.mark.parametrize("calls", [(), ("smooth_l1_loss",)])
def test_a_copy_of_the_model_that_no_optimizer_has_makes_targets(calls):
    trace = beside_a_copy("Net", calls=calls)
    assert "targets" in skip_reasons("LOS08", trace)[0]
    assert skip_reasons("LOS09", trace)


def beside_a_model_of_keras(prefixes, widths):
    """A loss that rises, of a model beside another one, both named by Keras."""
    sites = []
    number = 0
    for prefix, last, roles in zip(
        prefixes, widths, (("param", "update"), ("param",)), strict=True
    ):
        for width in (8, last):
            name = f"{prefix}dense_{number}".removesuffix("_0")
            number += 1
            for role in roles:
                sites += [
                    site(f"{name}/kernel", role, shape=[4, width], parent=name),
                    site(f"{name}/bias", role, shape=[width], parent=name),
                ]
    return trace_of(loss=noisy(np.linspace(1.0, 4.0, 300)), sites=sites)


@pytest.mark.parametrize("prefixes", [("sequential/", "sequential_1/"), ("", "")])
def test_the_copy_of_a_keras_model_makes_targets_though_its_layers_have_other_numbers(prefixes):
    assert "targets" in skip_reasons("LOS08", beside_a_model_of_keras(prefixes, (2, 2)))[0]


def test_another_keras_model_makes_none():
    assert findings("LOS08", beside_a_model_of_keras(("sequential/", "sequential_1/"), (2, 3)))


@pytest.mark.parametrize(
    "other", [{"held": ["0.weight"]}, {"shape": (8, 5)}, {"calls": ["cross_entropy"]}]
)
def test_a_second_model_that_is_trained_or_another_or_classifies_makes_none(other):
    assert findings("LOS08", beside_a_copy("Net", **other))


def of_episodes(lengths, weight=lambda length: 1.0, rest=("other",)):
    """Objectives of a critic's loss per step of episodes, and what the actor learns from."""
    rows = []
    for step, length in enumerate(lengths):
        terms = ["mse_loss", *(f"mse_loss#{number}" for number in range(2, length + 1))]
        weights = [*(1.0 for _ in rest), *(weight(length) for _ in terms)]
        rows.append(event("objective", step, terms=[*rest, *terms], weights=weights))
    return rows


@pytest.mark.parametrize(
    ("events", "judged"),
    [
        (of_episodes([9, 20, 12]), False),
        (of_episodes([9, 20]), True),
        (of_episodes([9, 12, 11]), True),
        (of_episodes([9, 20, 12], rest=()), True),
        (of_episodes([9, 20, 12], weight=lambda length: 1 / length), True),
    ],
    ids=["episodes", "two kinds", "similar lengths", "nothing else", "averaged"],
)
def test_a_sum_over_the_steps_of_episodes_is_not_judged(events, judged):
    trace = trace_of(loss=noisy(np.linspace(1.0, 4.0, 300)), events=events)
    assert bool(skip_reasons("LOS08", trace)) != judged


def rollouts(every=16, **columns):
    """An agent that acts for a while, then learns from what it met."""
    facts = {"training": True, "loss": None, "calls": 64, "examples": 256} | columns
    passes = [event("evaluation", step, group=0, **facts) for step in range(16, 300, every)]
    objective = event("objective", 0, terms=["other"], weights=[1.0])
    loss = noisy(np.linspace(1.0, 4.0, 300))
    return trace_of(loss=loss, events=[objective, *passes], batch_size=[64] * 300)


@pytest.mark.parametrize(
    ("columns", "judged"),
    [
        ({}, False),
        ({"training": False}, True),
        ({"loss": 2.0}, True),
        ({"calls": 1}, True),
        ({"calls": 4}, True),
        ({"every": 100}, False),
        ({"every": 150}, True),
    ],
)
def test_data_that_the_model_gathers_between_the_steps_are_others_each_time(columns, judged):
    assert bool(skip_reasons("LOS08", rollouts(**columns))) != judged


@pytest.mark.parametrize(("last", "found"), [(0.111, False), (0.109, True)])
def test_a_divergence_from_targets_that_become_sharper_may_rise(last, found):
    sizes = [0.1] * 50 + [last] * 50
    known = {"loss_function": "kl_div", "target_mean": 0.1, "target_std": sizes}
    rising = noisy(np.linspace(0.1, 0.3, 100), noise=0.01)
    trace = trace_of(loss=rising, batches=batches(100, **known))
    assert findings("LOS08", trace) if found else skip_reasons("LOS08", trace)


def test_a_run_without_losses_is_not_judged_though_it_was_evaluated():
    trace = trace_of(loss=[], steps=40, events=evaluated([1.0, 0.9, 0.8], every=10))
    assert skip_reasons("LOS07", trace)
    assert skip_reasons("LOS08", trace)


@pytest.mark.parametrize(("sampled", "found"), [(4, False), (5, True)])
def test_of_a_divergence_a_handful_of_targets_do_not_tell_whether_they_become_sharper(
    sampled, found
):
    known = {"loss_function": "kl_div", "target_mean": 0.1, "target_std": 0.1}
    rising = noisy(np.linspace(0.1, 0.3, 100), noise=0.01)
    trace = trace_of(loss=rising, sampled=range(sampled), batches=batches(sampled, **known))
    assert findings("LOS08", trace) if found else skip_reasons("LOS08", trace)


@pytest.mark.parametrize(("end", "found"), [(0.79, False), (0.81, True)])
def test_a_loss_may_rise_while_that_on_other_data_falls(end, found):
    rising = noisy(np.linspace(0.1, 0.3, 100), noise=0.01)
    events = evaluated([1.0, 0.9, 0.85, end], every=20)
    trace = trace_of(loss=rising, events=events)
    assert findings("LOS08", trace) if found else skip_reasons("LOS08", trace)


@pytest.mark.parametrize(("zeros", "found"), [(0.09, 1), (0.11, 0)])
def test_a_loss_that_rises_as_weights_are_pruned_does_not_diverge(zeros, found):
    shares = [0.0] * 50 + [zeros] * 50
    owner = {"shape": [8, 8], "numel": 64, "module_type": "Linear", "zero_fraction": shares}
    trace = trace_of(
        loss=noisy(np.geomspace(0.2, 2.0, 100)), sites=[site("a.weight", "param", **owner)]
    )
    assert findings("LOS08", trace) if found else skip_reasons("LOS08", trace)
