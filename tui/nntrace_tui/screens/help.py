"""The keys, and what the numbers on the overview mean."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

_HELP = """\
Keys
  q          detach: the run goes on, its folder is only read
  tab        next pane (shift+tab: the one before)
  ↑ ↓        move within a pane
  enter      show a finding in full
  z          give the pane the whole screen, and back
  ?          this page

Layers, at the last sampled step
  act std    standard deviation of the output; ↓ below 0.5, ↑ above 2.0
  grad rms   root mean square of its parameters' gradients
  log Δw/w   log10 of rms(update) / rms(parameters): about -3 is usual,
             ↓ below -4, ↑ above -2, 0 when nothing moved
  dead       share of units that were zero in every recent sample
  non-fin    share of NaN or infinite values, the worst of its sites

Findings
  E error, W warning, I a fact. The likely cause stands first, its
  symptoms indented below it.

Overhead is nntrace's own measured share of the elapsed time.
"""


class HelpScreen(ModalScreen[None]):
    """Closes with Escape, Enter, q or ?."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,question_mark", "dismiss", "Back", key_display="esc"),
    ]

    def compose(self) -> ComposeResult:
        """The text, scrollable when it is longer than the screen."""
        with VerticalScroll(classes="card"):
            yield Static(_HELP, markup=False)
        yield Footer()
