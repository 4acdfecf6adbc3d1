"""The colours: Textual themes of nntrace, and what a theme means for text that widgets draw.

Severities and levels are always marked by a letter or a place, too, never by colour alone.
"""

import os
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from textual.app import App
from textual.color import Color
from textual.theme import Theme

from nntrace.rules import Severity

_PLAIN_COLOUR_SYSTEMS: Final = (None, "standard", "windows")

DARK: Final = Theme(
    "nntrace-dark",
    primary="#6cb6ff",
    secondary="#39434f",
    accent="#f0a45d",
    foreground="#d5dbe3",
    background="#0f1318",
    surface="#161b22",
    panel="#1d242d",
    success="#63c58a",
    warning="#e3b341",
    error="#f26d78",
)
LIGHT: Final = Theme(
    "nntrace-light",
    primary="#0b61b8",
    secondary="#c3cad3",
    accent="#b35900",
    foreground="#1f2630",
    background="#fbfcfd",
    surface="#f1f4f7",
    panel="#e6eaef",
    success="#187a3d",
    warning="#8f6400",
    error="#c2202f",
    dark=False,
)
# Okabe and Ito's set, which stays distinct with every common colour vision.
# https://jfly.uni-koeln.de/color/
COLOUR_BLIND: Final = Theme(
    "nntrace-colour-blind",
    primary="#56b4e9",
    secondary="#3f4650",
    accent="#cc79a7",
    foreground="#e4e7eb",
    background="#101216",
    surface="#171a1f",
    panel="#20242b",
    success="#56b4e9",
    warning="#f0e442",
    error="#e8743b",
)
OWN: Final = (DARK, LIGHT, COLOUR_BLIND)
_SHADES: Final = 12  # per direction: neighbouring cells of equal shade are one run of text


@dataclass(frozen=True, slots=True)
class Palette:
    """Rich styles for what widgets draw.

    Attributes:
        low, high: for levels of −1 and 1.
        middle: for a level of 0.
        nonfinite: for a value that is not finite.
        empty: where nothing was recorded.
        has_shades: whether heat maps are coloured; if not, they are drawn with signs.
    """

    error: str
    warning: str
    info: str
    good: str
    dim: str
    curve: str
    second_curve: str
    low: str
    middle: str
    high: str
    nonfinite: str
    empty: str
    has_shades: bool

    def severity(self, severity: Severity) -> str:
        """The style of a finding's letter."""
        return {
            Severity.ERROR: f"bold {self.error}",
            Severity.WARNING: self.warning,
            Severity.INFO: self.info,
        }[severity]

    def level(self, level: float) -> str:
        """The colour of a level from −1 to 1."""
        end = self.high if level >= 0 else self.low
        share = round(min(1.0, abs(level)) * _SHADES) / _SHADES
        if not self.has_shades:
            return self.middle if share <= 0.5 else end
        return Color.parse(self.middle).blend(Color.parse(end), share).hex

    def share(self, share: float) -> str:
        """The colour of a share from 0 to 1."""
        return Color.parse(self.empty).blend(Color.parse(self.curve), share).hex


# The terminal's own sixteen colours, whatever they look like.
_PLAIN: Final = Palette(
    error="red",
    warning="yellow",
    info="cyan",
    good="green",
    dim="bright_black",
    curve="cyan",
    second_curve="yellow",
    low="blue",
    middle="",
    high="yellow",
    nonfinite="red",
    empty="",
    has_shades=False,
)


def is_plain_terminal() -> bool:
    """Whether to use only the terminal's own sixteen colours, or none.

    A true-colour theme rounded to sixteen colours is unreadable. With NO_COLOR, Textual's filter
    for native colours removes them all, while the one for themes keeps greys.
    """
    system = Console(force_terminal=True).color_system
    return "NO_COLOR" in os.environ or system in _PLAIN_COLOUR_SYSTEMS


def palette(app: App[None]) -> Palette:
    """The colours of the app's theme."""
    theme = app.current_theme
    if app.ansi_color or theme.ansi or app.no_color:
        return _PLAIN
    background = theme.background or ("#121212" if theme.dark else "#ffffff")
    foreground = theme.foreground or ("#e0e0e0" if theme.dark else "#1f1f1f")
    ground = Color.parse(background)
    colour_blind = theme.name == COLOUR_BLIND.name
    return Palette(
        error=theme.error or "#f26d78",
        warning=theme.warning or "#e3b341",
        info=theme.primary,
        good=theme.success or "#63c58a",
        dim=ground.blend(Color.parse(foreground), 0.55).hex,
        curve=theme.primary,
        second_curve=theme.accent or theme.warning or "#f0a45d",
        low="#3f8cff" if theme.dark else "#1f6fe0",
        middle=ground.blend(Color.parse("#4f9d8f" if not colour_blind else foreground), 0.22).hex,
        high="#ff9f1c" if theme.dark else "#e07b00",
        nonfinite="#ff2d95" if not colour_blind else "#ffffff",
        empty=background,
        has_shades=True,
    )
