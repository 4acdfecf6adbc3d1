"""The Python side of the commands: `nntrace.open` and `nntrace.diagnose`, for notebooks."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nntrace.config import load_config
from nntrace.diagnosis import Diagnosis
from nntrace.diagnosis import diagnose as run_rules
from nntrace.diagnosis.report import make_report
from nntrace.extras import require_extra
from nntrace.files import replacing
from nntrace.runs.find import find_run
from nntrace.trace import Trace

__all__ = ["Diagnosis", "Trace", "diagnose", "open"]


def open(run: str | Path | None = None, *, rank: int | None = None) -> Trace:  # noqa: A001 (public name: nntrace.open)
    """Open the trace of a run.

    Args:
        run: a path, a run's name or `latest`; by default the newest run.
        rank: the rank to read, as in `Trace.open`.

    Raises:
        NotARunError, SchemaVersionError, DamagedTraceError: it cannot be read.
    """
    return Trace.open(find_run(run), rank=rank)


def diagnose(
    run: str | Path | Trace | None = None,
    *,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    thresholds: Mapping[str, Mapping[str, Any]] | None = None,
) -> Diagnosis:
    """Say what is wrong with a run, the most likely root cause first.

    An argument that is not given comes from the project's configuration, as on the command line.

    Args:
        run: a trace, or a run as `open` takes it.
        select: rules to run, as prefixes of their codes.
        ignore: rules to leave out, as prefixes of their codes.
        thresholds: thresholds by rule code, in place of all configured ones.

    Raises:
        NotARunError, SchemaVersionError, DamagedTraceError: the run cannot be read.
        ConfigError, UnknownRuleError: a setting or a code that does not exist.
    """
    config = load_config()
    trace = run if isinstance(run, Trace) else open(run)
    rules = config.chosen_rules(select, ignore)
    overrides = config.thresholds() if thresholds is None else _checked(thresholds)
    return run_rules(trace, rules=rules, thresholds=overrides)


def report(run: str | Path | Trace | None = None, file: str | Path | None = None) -> Path:
    """Write a run as one self-contained HTML page and return the file's path.

    Args:
        run: a trace, or a run as `open` takes it.
        file: the file to write, by default `NAME.html` in the working folder.

    Raises:
        MissingExtraError: the extra `[report]` is not installed.
        NotARunError, SchemaVersionError, DamagedTraceError: the run cannot be read.
    """
    require_extra("report", "nntrace.report")
    from nntrace.report import render_html

    config = load_config()
    trace = run if isinstance(run, Trace) else open(run)
    page = render_html(make_report(trace, config.chosen_rules(), config.thresholds()))
    name = trace.path.name if trace.path is not None else trace.manifest.name
    target = Path(f"{name}.html" if file is None else file)
    with replacing(target) as new:
        new.write_text(page, encoding="utf-8")
    return target


def _checked(thresholds: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    from nntrace.rules import get_rule

    checked = {get_rule(code): overrides for code, overrides in thresholds.items()}
    for rule, overrides in checked.items():
        rule.validate(overrides)
    return {rule.code: overrides for rule, overrides in checked.items()}
