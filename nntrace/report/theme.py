"""The colours and fonts of the charts.

On the page colours are CSS variables, so that one drawing suits light and dark screens and paper; a
separate picture gets the colours themselves.
"""

from collections.abc import Mapping
from typing import Any, Final

LIGHT: Final = {
    "ink": "#1d2430",
    "muted": "#667085",
    "line": "#e3e7ee",
    "card": "#ffffff",
    "band": "#2e9e6b",
    "main": "#2f6fde",
    "second": "#d9822b",
    "third": "#8b5cd6",
    "error": "#d1343f",
    "warning": "#c77700",
    "info": "#2f7fa8",
}
DARK: Final = {
    "ink": "#e6eaf2",
    "muted": "#98a2b3",
    "line": "#2b3342",
    "card": "#171c26",
    "band": "#3fbf86",
    "main": "#6ea1ff",
    "second": "#f0a453",
    "third": "#b794f6",
    "error": "#ff6b74",
    "warning": "#f2b04a",
    "info": "#62b5dd",
}
FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"

# The scheme for values from low to high, readable on light and on dark.
SEQUENCE: Final = "viridis"


def colour(name: str) -> str:
    """The CSS variable of a named colour."""
    return f"var(--{name})"


def css_variables(palette: Mapping[str, str]) -> str:
    """The palette as CSS declarations."""
    return "".join(f"--{name}:{value};" for name, value in palette.items())


def config() -> dict[str, Any]:
    """The Vega-Lite configuration of all charts."""
    return {
        "background": "transparent",
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            "labelColor": colour("muted"),
            "titleColor": colour("muted"),
            "titleFontWeight": "normal",
            "gridColor": colour("line"),
            "domainColor": colour("line"),
            "tickColor": colour("line"),
            "labelFontSize": 11,
            "titleFontSize": 11,
            "labelLimit": 190,
        },
        "legend": {
            "labelColor": colour("ink"),
            "titleColor": colour("muted"),
            "titleFontWeight": "normal",
            "labelFontSize": 11,
            "titleFontSize": 11,
            "orient": "top",
        },
        "header": {"labelColor": colour("ink"), "titleColor": colour("muted")},
        "line": {"strokeWidth": 1.6},
    }


def with_colours(value: Any, palette: Mapping[str, str]) -> Any:
    """A specification with each CSS variable replaced by its colour."""
    if isinstance(value, str) and value.startswith("var(--"):
        return palette[value[6:-1]]
    if isinstance(value, dict):
        return {key: with_colours(item, palette) for key, item in value.items()}
    if isinstance(value, list):
        return [with_colours(item, palette) for item in value]
    return value
