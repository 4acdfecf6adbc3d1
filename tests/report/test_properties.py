"""No trace, however odd, makes a chart, a comparison, an export or a summary fail."""

from hypothesis import given, settings
from rules.test_properties import traces

from nntrace.diagnosis import diagnose
from nntrace.diagnosis.report import Report
from nntrace.diff import compare
from nntrace.diff.text import as_json, render_text
from nntrace.export.scalars import scalars
from nntrace.report.batch import filters, first_batch
from nntrace.report.figure import specification
from nntrace.report.page import make_figures
from nntrace.trace import Trace, summary


@settings(max_examples=20)
@given(trace=traces())
def test_any_trace_has_its_charts(trace: Trace) -> None:
    report = Report(trace, diagnose(trace), 1, trace.status)
    for figure in make_figures(report)[0]:
        assert specification(figure, width=100)["datasets"]
    first_batch(trace)
    filters(trace)


@settings(max_examples=20)
@given(a=traces(), b=traces())
def test_any_two_traces_can_be_compared_and_a_trace_never_parts_from_itself(
    a: Trace, b: Trace
) -> None:
    comparison = compare(a, b, [a])
    as_json(comparison)
    list(render_text(comparison))
    assert compare(a, a).first is None


@settings(max_examples=20)
@given(trace=traces())
def test_any_trace_has_a_summary_and_scalars(trace: Trace) -> None:
    summary.as_html(trace)
    repr(trace)
    for scalar in scalars(trace):
        assert len(scalar.step) == len(scalar.value) > 0
