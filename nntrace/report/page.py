"""The page of one run: gathers its content and renders it."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import chain

from nntrace.diagnosis.report import Report
from nntrace.diagnosis.wording import evidence_value, families, samples, suppressions
from nntrace.keep import bytes_on_disk
from nntrace.recipe import Stage, State
from nntrace.recipe import read as read_recipe
from nntrace.recipe.output import counts, how
from nntrace.report.batch import filters, first_batch
from nntrace.report.bundle import begin_page_script
from nntrace.report.document import render_document
from nntrace.report.evidence import evidence_figure
from nntrace.report.experiments import experiment_figures
from nntrace.report.figure import Figure
from nntrace.report.histograms import histogram_figures, label_figure
from nntrace.report.layers import layer_figures
from nntrace.report.training import training_figures
from nntrace.rules import Finding
from nntrace.rules.numerics.origin_story import story
from nntrace.rules.numerics.spread import reached
from nntrace.text.values import percent, size, when

_MOST_EVIDENCE = 12  # charts beside findings
_SOURCE_LIMIT = 160
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Family:
    """A root cause, its findings at further sites, its symptoms, and the chart that shows it."""

    root: Finding
    more: tuple[Finding, ...]
    symptoms: tuple[Finding, ...]
    figure: Figure | None


@dataclass(frozen=True, slots=True)
class Figures:
    """The charts of a run, by section of the page."""

    training: list[Figure]
    layers: list[Figure]
    distributions: list[Figure]
    labels: list[Figure]
    evidence: list[Figure]

    def __iter__(self) -> Iterator[Figure]:
        return chain(self.training, self.layers, self.distributions, self.labels, self.evidence)


def make_figures(report: Report) -> tuple[Figures, list[Family]]:
    """All charts of a run, and its findings by root cause."""
    trace, findings = report.trace, report.diagnosis.findings
    found = list(_families(report))
    figures = Figures(
        training=[*training_figures(trace, findings), *experiment_figures(trace)],
        layers=list(layer_figures(trace)),
        distributions=list(histogram_figures(trace)),
        labels=[figure for figure in (label_figure(trace),) if figure is not None],
        evidence=[family.figure for family in found if family.figure is not None],
    )
    return figures, found


def render_html(
    report: Report,
    *,
    vocabulary: Sequence[str] | None = None,
    progress: Progress = lambda _: None,
    script: Future[str] | None = None,
) -> str:
    """The page for one diagnosed run.

    Args:
        report: the run and its diagnosis.
        vocabulary: the tokens in the order of their ids, to show token ids as text.
        progress: called with the name of each stage as it begins.
        script: the page's script, if its bundling, which takes a second, has been started.
    """
    script = script or begin_page_script()
    progress("drawing charts")
    figures, found = make_figures(report)
    progress("showing the data")
    batch, kernels = first_batch(report.trace, vocabulary), filters(report.trace)
    card = read_recipe(report.trace, report.diagnosis)
    progress("putting the page together")
    script.result()
    name = report.trace.manifest.name
    return render_document(
        "report.html",
        figures,
        report=report,
        trace=report.trace,
        manifest=report.trace.manifest,
        families=found,
        figures=figures,
        batch=batch,
        filters=kernels,
        reached=reached(report.trace),
        origin=story(report.trace),
        skipped=report.diagnosis.skipped,
        suppressed=suppressions(report.diagnosis.suppressed),
        card=card,
        card_counts=counts(card),
        stages=tuple(Stage),
        states=State,
        how=lambda step: how(step, name),
        sampling=_sampling(report),
        evidence_value=evidence_value,
        source_limit=_SOURCE_LIMIT,
    )


def _families(report: Report) -> Iterator[Family]:
    """Findings grouped under their root causes, in the order of the diagnosis."""
    groups = families(report.diagnosis.findings)
    for number, ((root, *more), *symptoms) in enumerate(groups, 1):
        figure = None
        if number <= _MOST_EVIDENCE:
            figure = evidence_figure(report.trace, root, number, report.thresholds)
        yield Family(root, tuple(more), tuple(chain.from_iterable(symptoms)), figure)


def _sampling(report: Report) -> list[tuple[str, str]]:
    trace, manifest = report.trace, report.trace.manifest
    budget = manifest.config.get("budget")
    steps = f"{len(trace.steps)}, of which {samples(trace)}"
    spent = manifest.overhead_seconds
    overhead = percent(trace.overhead) + (f" ({spent:.1f} s)" if spent is not None else "")
    return [
        ("command", " ".join(manifest.command)),
        ("folder", manifest.cwd),
        ("started", when(manifest.started_ns)),
        ("steps", steps),
        ("sites", str(len(trace.sites))),
        ("ranks", ", ".join(map(str, trace.ranks)) + f" (shown: {trace.rank})"),
        ("measured overhead", overhead),
        ("budget", percent(budget) if isinstance(budget, float) else ""),
        ("versions", ", ".join(f"{k} {v}" for k, v in manifest.versions.items())),
        ("git", manifest.git_commit or ""),
        ("on disk", "" if trace.path is None else size(bytes_on_disk(trace.path))),
    ]
