"""Assertions for tests of training code: fail when a run is not healthy.

def test_training_is_healthy(tmp_path):
    run = tmp_path / "run"
    subprocess.run(["nntrace", "run", "--out", run, "train.py"], check=True)
    assert_healthy(run, ignore=["RUN03"])
"""

import io
from collections.abc import Iterable
from pathlib import Path

from nntrace import api
from nntrace.config import load_config
from nntrace.diagnosis.report import Report
from nntrace.rules import Severity
from nntrace.trace import Trace

__all__ = ["assert_healthy"]


def assert_healthy(
    run: str | Path | Trace | None = None,
    *,
    ignore: Iterable[str] = (),
    select: Iterable[str] = (),
    fail_on: str = "warning",
) -> None:
    """Fail, with the diagnosis as the message, when a run has findings.

    Args:
        run: a trace, a path, a run's name or `latest`; by default the newest run.
        ignore: rules to leave out besides the configured ones, as prefixes of their codes.
        select: rules to run, as prefixes of their codes.
        fail_on: the least severity that fails: `error`, or `warning` for both.

    Raises:
        AssertionError: a finding is at or above `fail_on`, or no rule could judge the run.
    """
    limit = Severity(fail_on)
    config = load_config()
    left_out = (*config.ignore, *ignore)
    trace = run if isinstance(run, Trace) else api.open(run)
    found = api.diagnose(trace, select=select, ignore=left_out)
    asked = len(config.chosen_rules(select, left_out))
    report = Report(trace, found, asked, trace.status)
    healthy = found.worst is None or found.worst.weight < limit.weight
    if not healthy or not report.rules_judged:
        raise AssertionError(f"{trace.manifest.name} is not healthy\n{_text(report)}")


def _text(report: Report) -> str:
    from rich.console import Console

    from nntrace.diagnosis.text import render_text, write

    text = io.StringIO()
    write(Console(file=text, width=1000, highlight=False), render_text([report]))
    return text.getvalue()
