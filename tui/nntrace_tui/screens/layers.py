"""The layers page: a heat map of one metric over time, beside the current numbers."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from nntrace_tui.draw import ramp
from nntrace_tui.literal import literal
from nntrace_tui.messages import Look
from nntrace_tui.metrics import Metric, ends, legend
from nntrace_tui.pages.layers import LayersPage
from nntrace_tui.screens.page import PageScreen
from nntrace_tui.snapshot import Snapshot
from nntrace_tui.themes import palette
from nntrace_tui.view import Page
from nntrace_tui.widgets.layers_heat import LayersHeat
from nntrace_tui.widgets.line_list import LineList


class LayersScreen(PageScreen):
    """Shows all layers over time."""

    PAGE = Page.LAYERS
    HELP = """\
One line per layer in execution order, at the right the metric over the run: a cell is a
stretch of sampled steps, and shows the worst of them.

m M          next metric, the one before
s            the layers that are furthest out of their bands first
/            only layers whose path contains these words; Escape clears
← →          fold and unfold a group of layers
Enter        the layer in full

act std      standard deviation of the output; ↓ below its band, ↑ above
grad rms     root mean square of its parameters' gradients
Δw/w         log10 of rms(update) / rms(parameters): about -3 is usual, ↓ below its
             band, ↑ above, none: nothing moved
dead         share of units that were zero in every recent sample
sat          share of outputs at an end of a bounded activation's range
non-fin      share of NaN or infinite values, the worst of its sites

The bands follow the thresholds of the rules ACT01, ACT04, ACT05, UPD01 and UPD02, also where
[tool.nntrace] sets them.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "metric(1)", "Metric"),
        Binding("M", "metric(-1)", "Metric before", show=False),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("escape", "clear", "Clear", show=False),
    ]
    AUTO_FOCUS = "LayersHeat"

    def body(self) -> ComposeResult:
        """Yield the heat map, its legend, and the filter, which is hidden until it is used."""
        yield LayersHeat()
        yield Static(id="legend")
        yield Input(placeholder="words in the layer's path", id="filter", compact=True)

    def show_content(self, snapshot: Snapshot) -> None:
        """Update the heat map and its legend."""
        page = snapshot.content
        if not isinstance(page, LayersPage):
            return
        self.query_one(LayersHeat).show(page)
        low, high = ends(page.metric, page.scale)
        text = ramp(palette(self.app), low, high)
        text.append("   ").append_text(literal(legend(page.metric, page.scale)))
        self.query_one("#legend", Static).update(text)

    def action_metric(self, by: int) -> None:
        """Show the next metric, or the one before."""
        if self._snapshot is not None:
            metrics = tuple(Metric)
            place = metrics.index(self._snapshot.view.metric) + by
            self.post_message(Look(metric=metrics[place % len(metrics)]))

    def action_filter(self) -> None:
        """Show the filter and type into it."""
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

    def action_clear(self) -> None:
        """Clear the filter, so that all layers are shown."""
        field = self.query_one("#filter", Input)
        field.clear()
        field.display = False
        self.query_one(LayersHeat).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter the layers while the user types."""
        self.query_one(LayersHeat).filter(event.value)

    def on_input_submitted(self) -> None:
        """Return to the list; the filter stays."""
        self.query_one(LayersHeat).focus()

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Open the chosen layer."""
        path = self.query_one(LayersHeat).path_at(event.index)
        if path is not None:
            self.post_message(Look(page=Page.LAYER, layer=path, parameter=0))
