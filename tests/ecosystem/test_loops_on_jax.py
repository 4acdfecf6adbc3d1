"""Training loops of a program's own on JAX: what is recorded of them, and that none is changed."""

import os
import subprocess
import sys

import numpy as np
import pytest
from keras_on_jax import PROGRAMS, traced_runs

from nntrace.schema import EventKind, Role
from nntrace.trace import Trace

FOLLOWED = [
    "jitted", "donated", "gathered", "scaled", "eager", "of_an_object", "in_two_functions",
    "by_hand", "with_an_evaluation", "adversarial",
]  # fmt: skip
JITTED = [name for name in FOLLOWED if name not in ("eager", "adversarial")]
KINDS = ("ours", "own")
WITH_LOSSES = [name for name in FOLLOWED if name not in ("adversarial", "gathered", "scaled")]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Of each way to train: what was printed, and the folder of the traces."""
    printed, folder = traced_runs("loops.py", tmp_path_factory.mktemp("loops"))
    return {line.split()[0]: line.split()[1:] for line in printed.splitlines()}, folder


@pytest.fixture(scope="module")
def traces(runs):
    return {name: Trace.open(runs[1] / name) for name in FOLLOWED}


@pytest.mark.parametrize("name", [*FOLLOWED, "in_a_scan", "copied"])
def test_losses_and_weights_are_those_of_an_untraced_run(runs, name):
    assert runs[0][name][0] == "True"


@pytest.mark.parametrize("name", JITTED)
def test_only_the_second_computation_calls_the_programs_functions_again(runs, name):
    bare, traced = map(int, runs[0][name][1:3])
    assert traced == bare + 2


def test_what_is_not_jitted_is_not_computed_twice(runs):
    assert runs[0]["eager"][1] == runs[0]["eager"][2]


@pytest.mark.parametrize("name", FOLLOWED)
def test_nothing_goes_wrong_and_nothing_is_unseen(traces, name):
    assert not traces[name].events_of(EventKind.ERROR)
    assert not traces[name].events_of(EventKind.UNSEEN)


@pytest.mark.parametrize("name", WITH_LOSSES)
def test_every_step_has_its_loss(runs, traces, name):
    wanted = [float(loss) for loss in runs[0][name][3:]]
    assert traces[name].steps.loss == pytest.approx(wanted)


@pytest.mark.parametrize("name", [name for name in JITTED if name != "by_hand"])
def test_the_learning_rate_is_that_of_the_optimizer(traces, name):
    assert traces[name].steps.lr == pytest.approx(0.01)


@pytest.mark.parametrize("name", JITTED)
def test_layers_parameters_gradients_and_batches_are_sampled(traces, name):
    trace = traces[name]
    outputs = [site.path.rpartition("/")[2] for site in trace.sites_of(Role.ACTIVATION)]
    assert [outputs[0], outputs[-1]] == ["hidden", "head"]
    assert len(outputs) == len(trace.sites_of(Role.ACTIVATION_GRAD)) == 4
    for role in (Role.PARAM, Role.PARAM_GRAD, Role.UPDATE):
        assert [site.path.split("/")[-1] for site in trace.sites_of(role)].count("kernel") == 2
    assert [len(trace.sites_of(r)) for r in (Role.INPUT, Role.TARGET, Role.OUTPUT)] == [1, 1, 1]
    assert trace.batches[-1].label_values


@pytest.mark.parametrize("name", FOLLOWED)
def test_updates_are_what_each_step_changed(traces, name):
    trace = traces[name]
    site = next(s for s in trace.sites_of(Role.UPDATE) if s.path.endswith("kernel"))
    before = trace.series(Role.PARAM, "mean", trace.site(site.path, Role.PARAM))
    change = trace.series(Role.UPDATE, "mean", site)
    known = ~np.isnan(before)
    np.testing.assert_allclose(change[known][:-1], np.diff(before[known]), atol=1e-7)


@pytest.mark.parametrize("name", JITTED)
def test_the_mode_is_that_in_which_the_loop_calls_its_model(traces, name):
    [mode] = traces[name].events_of(EventKind.MODE)
    assert (mode.payload["training"], mode.payload["norm_active"]) == (True, 1)
    assert mode.payload["file"].endswith("loops.py")


def test_a_step_whose_first_call_took_over_its_arguments_is_sampled_from_the_second_on(traces):
    assert traces["donated"].sampled_steps.tolist() == [1, 2, 3, 4, 5]
    assert len(traces["donated"].steps) == 6


def test_gathered_gradients_are_one_step_for_each_update(traces):
    assert traces["gathered"].steps.batch_size.tolist() == [32, 32, 32]


def test_gradients_are_those_of_the_loss_without_its_scale(traces):
    def gradient(name):
        return traces[name].series(
            Role.PARAM_GRAD, "std", traces[name].sites_of(Role.PARAM_GRAD)[0]
        )

    assert gradient("scaled")[0] == pytest.approx(gradient("jitted")[0], rel=1e-3)
    assert traces["scaled"].steps.loss[0] == pytest.approx(traces["jitted"].steps.loss[0])


def test_weights_that_the_program_changes_itself_are_steps_without_a_rate(traces):
    trace = traces["by_hand"]
    assert np.isnan(trace.steps.lr).all()
    kernel = trace.sites_of(Role.PARAM_GRAD)[0]
    given = trace.series(Role.PARAM_GRAD, "std", kernel)
    changed = trace.series(Role.UPDATE, "std", trace.site(kernel.path, Role.UPDATE))
    np.testing.assert_allclose(changed[:-1], 0.1 * given[:-1], rtol=1e-3, atol=1e-7)


def test_each_optimizer_of_a_call_makes_its_own_step(traces):
    trace = traces["adversarial"]
    updates = {site.path.split("/")[0]: site.optimizer for site in trace.sites_of(Role.UPDATE)}
    assert updates == {"judge": "SGD", "maker": "Adam.2"}
    assert trace.steps.lr.tolist() == pytest.approx([0.1, 0.01] * 6)


def test_steps_inside_a_loop_of_jax_are_said_to_be_unseen(runs):
    assert not (runs[1] / "in_a_scan").exists()


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """What was printed of each error: a place of ours and one of the program's own, by its kind."""
    folder = tmp_path_factory.mktemp("broken-hooks")
    printed, folder = traced_runs("broken_hooks.py", folder, strict=False)
    lines = [line.split() for line in printed.splitlines()]
    return {kind: {line[1]: line[2:] for line in lines if line[0] == kind} for kind in KINDS}


def test_every_hook_that_is_to_break_is_reached(broken):
    assert len(broken["ours"]) > 50
    assert [place for place, found in broken["ours"].items() if found[0] != "True"] == []


def test_an_error_of_ours_changes_no_loss_and_no_weight(broken):
    assert [place for place, found in broken["ours"].items() if found[1] != "True"] == []


def test_an_error_of_ours_makes_the_programs_functions_called_no_more_often(broken):
    computed_again = ("0", "2")  # traced anew: for the shapes, and with zeros added
    wrong = [place for place, found in broken["ours"].items() if found[2] not in computed_again]
    assert wrong == []
    eager = [found[2] for place, found in broken["ours"].items() if place.startswith("eager")]
    assert set(eager) == {"0"}


def test_an_error_of_ours_is_told_once(broken):
    assert [place for place, found in broken["ours"].items() if found[3] != "1"] == []


def test_an_error_of_the_programs_own_reaches_it_unchanged(broken):
    assert {name: found[:2] for name, found in broken["own"].items()} == {
        "jitted": ["True", "True"],
        "jitted_when_called_again": ["False", "True"],
        "eager": ["True", "True"],
        "eager_later": ["True", "True"],
    }


def test_an_error_of_the_programs_own_is_none_of_ours_and_calls_nothing_again(broken):
    assert {name: found[2:] for name, found in broken["own"].items()} == {
        "jitted": ["0", "0"],
        "jitted_when_called_again": ["1", "0"],  # the second computation, which then is given up
        "eager": ["0", "0"],
        "eager_later": ["0", "0"],
    }


def test_what_is_asked_of_jax_in_other_ways_comes_back_the_same(tmp_path):
    printed, folder = traced_runs("asking.py", tmp_path)
    lines = [line.split("\t") for line in printed.splitlines()]
    assert len(lines) > 20
    assert [line for line in lines if line[1] != "True"] == []
    for name in ("step_by_keywords", "step_with_numbers_in_a_list"):
        trace = Trace.open(folder / name)
        assert len(trace.sites_of(Role.PARAM_GRAD)) == 2
        assert not trace.events_of(EventKind.UNSEEN)


def test_functions_are_pickled_as_without_nntrace(tmp_path):
    program = [sys.executable, str(PROGRAMS / "pickled_functions.py")]
    launcher = [sys.executable, "-m", "nntrace", "run", "--out", str(tmp_path)]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "NNTRACE_STRICT": "1"}
    bare, traced = (
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        for command in (program, launcher + program)
    )
    assert traced == bare
    assert len(bare.splitlines()) == 6
