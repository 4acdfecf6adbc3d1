"""The charts of a check."""

import numpy as np
from rules.checks import checked, noisy, run, swept

from nntrace.report.evidence import evidence_figure
from nntrace.report.experiments import experiment_figures
from nntrace.report.figure import specification
from nntrace.rules import get_rule


def rows_of(figure) -> list[dict]:
    return [row for rows in specification(figure, width=100)["datasets"].values() for row in rows]


def test_the_sweep_is_drawn_with_its_useful_range_and_the_scripts_own_rate():
    (figure,) = experiment_figures(swept(1e-3))
    rows = rows_of(figure)
    assert figure.name == "learning-rate-sweep"
    assert {"rate": 0.001} in rows
    (band,) = (row for row in rows if "end" in row)
    assert 1e-5 < band["rate"] < band["end"] < 0.1
    assert max(row["loss"] for row in rows if "loss" in row) < 2.5, "what ran away is cut off"


def test_the_run_of_the_sweep_itself_has_the_curve_too():
    (figure,) = experiment_figures(swept(1e-3).under("sweep"))
    assert figure.name == "learning-rate-sweep"


def test_the_losses_of_the_experiments_lie_over_one_another():
    blind = run("blind", noisy(2.0), inputs="zero")
    (figure,) = experiment_figures(checked(blind=blind))
    rows = rows_of(figure)
    last = {row["experiment"]: row["loss"] for row in rows}
    np.testing.assert_allclose(last["the script as it is"], 1.0, atol=0.05)
    np.testing.assert_allclose(last["inputs zeroed"], 2.0, atol=0.05)


def test_an_ordinary_run_has_none_of_them():
    assert list(experiment_figures(checked())) == []


def test_a_probes_finding_shows_its_experiment():
    trace = swept(3.0)
    (finding,) = get_rule("PRB07").run(trace)
    figure = evidence_figure(trace, finding, 1)
    assert {"rate": 3.0} in rows_of(figure)
