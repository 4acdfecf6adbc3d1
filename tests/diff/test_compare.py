import json

import pytest
from rules.builders import batches, event, site, trace_of

from nntrace.diff import compare
from nntrace.diff.text import as_json, sentence
from nntrace.schema import Role

ROLES = ("param", "activation", "activation_grad", "param_grad", "update")


def run(loss=1.0, seed=0, changed=None, count=6, n=32, **options):
    """Two layers; `changed` = (path, role, step, value) changes one site from a step on."""
    sites = []
    for path in ("one", "two"):
        for role in ROLES:
            rms = [1.0] * count
            if changed and changed[:2] == (path, role):
                rms[changed[2] :] = [changed[3]] * (count - changed[2])
            values = {"rms": rms, "std": rms, "mean": 0.0, "nonfinite_fraction": 0.0}
            sites.append(site(path, role, shape=[8, 4], numel=32, n=n, **values))
    losses = loss if isinstance(loss, list) else [loss] * count
    return trace_of(loss=losses, sites=sites, **options)


def test_equal_runs_do_not_part() -> None:
    comparison = compare(run(), run())
    assert comparison.first is None
    assert comparison.settings == ()
    assert comparison.common_steps == 6


@pytest.mark.parametrize(("factor", "parts"), [(1.0009, False), (1.0011, True)])
def test_what_rounding_explains_is_no_divergence(factor: float, parts: bool) -> None:
    comparison = compare(run(), run(changed=("two", "activation", 3, factor)), tolerance=1e-3)
    assert (comparison.first is not None) is parts


def test_the_first_divergence_is_the_earliest_step_then_the_cause_before_its_effect() -> None:
    first = compare(run(), run(changed=("one", "param", 4, 2.0), loss=[1, 1, 1, 1, 9, 9])).first
    assert first is not None
    assert (first.step, first.place, first.role, first.a, first.b) == (4, "one", "param", 1.0, 2.0)


def test_a_gradient_parts_first_at_the_layer_nearest_the_output() -> None:
    b = run(changed=("one", "activation_grad", 2, 3.0))
    both = run(changed=("two", "activation_grad", 2, 3.0))
    assert compare(run(), b).first.place == "one"
    changed = [d.place for d in compare(b, both).divergences]
    assert changed[0] == "two"


def test_other_examples_come_before_everything_they_cause() -> None:
    a = run(batches=batches(6, fingerprint=[1, 2, 3, 4, 5, 6]))
    b = run(batches=batches(6, fingerprint=[1, 2, 9, 4, 5, 6]), loss=[1, 1, 2, 1, 1, 1])
    assert sentence(compare(a, b).first) == "step 2, the batches hold different examples"


def test_a_nan_in_one_run_alone_is_a_divergence() -> None:
    first = compare(run(), run(changed=("one", "activation", 1, None))).first
    assert (first.step, first.place) == (1, "one")
    assert "only in A" in sentence(first)


def test_what_differs_between_seeds_is_no_divergence_but_what_exceeds_it_is() -> None:
    noise = [run(changed=("one", "activation", 0, value)) for value in (1.1, 0.95)]
    within = run(changed=("one", "activation", 0, 1.15))
    beyond = run(changed=("one", "activation", 0, 1.25))
    assert compare(run(), within).first is not None
    assert compare(run(), within, noise).first is None
    assert compare(run(), beyond, noise).first is not None


def test_batches_that_a_seed_draws_otherwise_are_no_divergence() -> None:
    first, second, third = (
        run(batches=batches(6, fingerprint=[start + step for step in range(6)]))
        for start in (10, 20, 30)
    )
    assert compare(first, second).first.place == "batch"
    assert compare(first, second, [third]).first is None
    assert compare(first, second, [first]).first.place == "batch"


def test_the_elements_of_a_parameter_are_drawn_anew_by_a_seed() -> None:
    """6 standard errors of 32 elements are 1.06, whatever two runs happen to differ by."""
    other = run(changed=("one", "param", 0, 1.9))
    assert compare(run(), other).first is not None
    assert compare(run(), other, [run()]).first is None


def test_what_noise_does_soon_it_may_do_now() -> None:
    noise = [run(loss=[1.0] * 20 + [2.0] * 10, count=30)]
    assert compare(run(count=30), run(loss=[1.0] * 10 + [2.0] * 20, count=30), noise).first is None
    assert compare(run(count=30), run(loss=[1.0] * 2 + [2.0] * 28, count=30), noise).first


def rare(role, rows):
    """A site that has rows at these of six sampled steps."""
    values = [1.0 if row else None for row in rows]
    statistics = {"rms": values, "std": values}
    n = [32 if row else None for row in rows]
    return trace_of(sites=[site("bn", role, shape=[8, 4], numel=32, n=n, **statistics)])


@pytest.mark.parametrize(("role", "rows"), [("activation", "110111"), ("running_norm", "110000")])
def test_a_step_at_which_one_run_has_no_row_is_no_divergence(role: str, rows: str) -> None:
    a, b = (rare(role, [mark == "1" for mark in marks]) for marks in ("111111", rows))
    assert compare(a, b).first is None
    assert compare(b, a).first is None


def test_a_layer_that_one_run_no_longer_reaches_is_a_divergence() -> None:
    a, b = rare("activation", [True] * 6), rare("activation", [True] * 3 + [False] * 3)
    assert compare(a, b).first.step == compare(b, a).first.step == 3


def test_samples_of_other_elements_may_differ_by_their_sampling_error() -> None:
    """6 standard errors of 4 of 8 rows are 3; parameters are read at fixed elements."""
    a = run(n=16)
    b = run(n=16, changed=("one", "activation", 2, 2.0), sampled=[0, 2, 4])
    assert compare(a, b).first is None
    b = run(n=16, changed=("one", "param", 1, 2.0), sampled=[0, 2, 4])
    assert compare(a, b).first is not None


def port(value, unit_axis):
    """One convolution's output, its channels where a framework has them."""
    one = site(
        "conv", "activation", shape=[8, 8, 8, 8], numel=4096, n=2048, rms=value, std=value,
        mean=0.0, kurtosis=2.0, unit_axis=unit_axis,
    )  # fmt: skip
    return trace_of(sites=[one], loss=[1.0] * 4)


@pytest.mark.parametrize(("value", "parts"), [(1.3, False), (1.9, True)])
def test_a_port_whose_channels_are_last_is_sampled_at_other_elements(value, parts) -> None:
    """256 rows of equal shape, but other elements: 6 / √256 is 0.375."""
    comparison = compare(port(1.0, None), port(value, 3))
    assert (comparison.first is not None) is parts


def test_settings_that_differ_come_with_the_linear_scaling_hint() -> None:
    a = run(batch_size=32, events=[event("optimizer", **{"class": "SGD", "lr": 0.1})])
    b = run(batch_size=128, events=[event("optimizer", **{"class": "SGD", "lr": 0.1})])
    (setting,) = compare(a, b).settings
    assert (setting.name, setting.a, setting.b) == ("batch size", "32", "128")
    assert "learning rate of 0.4" in setting.hint


def test_a_rate_that_was_kept_in_float32_is_the_same_rate() -> None:
    a = run(events=[event("optimizer", lr=0.1)])
    assert compare(a, run(events=[event("optimizer", lr=0.10000000149011612)])).settings == ()
    assert len(compare(a, run(events=[event("optimizer", lr=0.11)])).settings) == 1


def test_the_json_form_is_finite_and_names_the_first_divergence() -> None:
    comparison = compare(run(), run(changed=("one", "activation", 1, None)))
    content = json.loads(as_json(comparison))
    assert content["first_divergence"]["place"] == "one"
    assert content["first_divergence"]["b"] is None
    assert content["aligned_sites"] == 10


@pytest.mark.parametrize("role", list(Role))
def test_sites_of_every_role_can_be_where_runs_part(role: Role) -> None:
    a, b = (
        trace_of(sites=[site("one", role, shape=[8, 4], numel=32, n=32, rms=size, std=size)])
        for size in (1.0, 2.0)
    )
    assert compare(a, b).first.role == role
