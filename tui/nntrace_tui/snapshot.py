"""What the monitor shows at one moment: a frozen `Snapshot`, made by a pure function of a `Trace`.

Nothing here uses Textual. Only the open page is built, and only its module is imported.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nntrace.diagnosis import Diagnosis
from nntrace.rules import Finding, Skipped
from nntrace.trace import Trace
from nntrace_tui.pages.run import Run, run_header
from nntrace_tui.view import Page, View

if TYPE_CHECKING:
    from nntrace_tui.pages.batches import DataPage
    from nntrace_tui.pages.layer import LayerPage
    from nntrace_tui.pages.layers import LayersPage
    from nntrace_tui.pages.numerics import NumericsPage
    from nntrace_tui.pages.overview import OverviewPage
    from nntrace_tui.pages.ranks import RanksPage
    from nntrace_tui.pages.updates import UpdatesPage

    Content = (
        OverviewPage
        | LayersPage
        | LayerPage
        | UpdatesPage
        | DataPage
        | NumericsPage
        | RanksPage
        | None
    )


@dataclass(frozen=True, slots=True)
class Extent:
    """The steps of the run, and the one at which the display is paused; None follows the run."""

    first: int = 0
    last: int = 0
    until: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """One moment of a run, as one page shows it.

    Attributes:
        content: the content of the view's page; None for the page of rules, which shows findings.
        findings: as ranked by the diagnosis; None until the first diagnosis was made.
        skipped: the rules that could not judge, so that silence is not mistaken for health.
        any_judged: whether any rule could judge; none judges an experiment of `nntrace check`.
    """

    view: View
    run: Run
    extent: Extent
    content: "Content"
    findings: tuple[Finding, ...] | None
    skipped: tuple[Skipped, ...]
    any_judged: bool


def snapshot(
    trace: Trace,
    diagnosis: Diagnosis | None,
    now_ns: int,
    view: View = View(),  # noqa: B008  frozen
    ranks: "RanksPage | None" = None,
) -> Snapshot:
    """The state of a run at `now_ns` (nanoseconds since the epoch).

    Args:
        trace: up to the step at which the view is paused.
        ranks: the content of the page of ranks, which comes from several ranks' traces.
    """
    findings = None if diagnosis is None else diagnosis.findings
    if findings is not None and view.until is not None:
        findings = tuple(finding for finding in findings if finding.steps[0] <= view.until)
    return Snapshot(
        view=view,
        run=run_header(trace, now_ns),
        extent=extent(trace, view.until),
        content=ranks if view.page is Page.RANKS else page_content(trace, view, findings or ()),
        findings=findings,
        skipped=() if diagnosis is None else diagnosis.skipped,
        any_judged=diagnosis is not None and bool(diagnosis.judged),
    )


def extent(trace: Trace, until: int | None) -> Extent:
    """The first and the last step of a trace."""
    steps = trace.table("steps")["step"]
    if not len(steps):
        return Extent(until=until)
    return Extent(steps[0].as_py(), steps[-1].as_py(), until)


def page_content(trace: Trace, view: View, findings: tuple[Finding, ...]) -> "Content":
    """The content of the view's page; None for pages that need no more than the findings."""
    match view.page:
        case Page.OVERVIEW:
            from nntrace_tui.pages.overview import overview_page

            return overview_page(trace, view.metric, view.bands)
        case Page.LAYERS:
            from nntrace_tui.pages.layers import layers_page

            return layers_page(trace, view.metric, view.bands)
        case Page.LAYER:
            from nntrace_tui.pages.layer import layer_page

            return layer_page(trace, view.layer, view.parameter, findings, view.bands)
        case Page.UPDATES:
            from nntrace_tui.pages.updates import updates_page

            return updates_page(trace, view.bands)
        case Page.DATA:
            from nntrace_tui.pages.batches import data_page

            return data_page(trace)
        case Page.NUMERICS:
            from nntrace_tui.pages.numerics import numerics_page

            return numerics_page(trace, findings)
        case _:
            return None
