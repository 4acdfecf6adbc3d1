"""The keys of every page, and what the open page shows."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

_KEYS = """\
1 … 8        the pages                   q       detach: the run goes on
tab          next pane                   z       the pane alone
space        pause, or go on             r       other runs
[ ]          back and forward in time    < >     the older, the newer run
{ }          the same, ten times as far  , .     the rank before, after
f            follow the run again        t       next theme
e  E         save the screen as SVG, as text
y            copy the place in the program, or the run's path
ctrl+p       all commands                ?       this page
"""


class HelpScreen(ModalScreen[None]):
    """Shows the help; closes with Escape, Enter, q or ?."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,question_mark", "dismiss", "Back", key_display="esc")
    ]

    def __init__(self, title: str, about: str) -> None:
        super().__init__()
        self._title = title
        self._about = about

    def compose(self) -> ComposeResult:
        """Yield the text, which can be scrolled if it is longer than the screen."""
        text = Text.assemble(
            (f"{self._title}\n\n", "bold"), self._about, ("\nKeys on every page\n\n", "bold"), _KEYS
        )
        with VerticalScroll(classes="card"):
            yield Static(text)
        yield Footer(show_command_palette=False)
