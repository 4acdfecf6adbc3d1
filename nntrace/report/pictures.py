"""Draws a single chart as an SVG or PNG file, by vl-convert, without a browser."""

from typing import Final

import vl_convert

from nntrace.errors import NntraceError
from nntrace.report.figure import Figure, specification
from nntrace.report.theme import FONT, LIGHT, with_colours

VEGA_LITE: Final = "6.4"
_WIDTH = 640
_SCALE = 2  # pixels of a PNG per point


def render_chart(figures: list[Figure], name: str, form: str) -> bytes:
    """Draw the figure called `name`; return the content of the file.

    Args:
        figures: the figures of the run.
        name: the name of one of them.
        form: `svg` or `png`.

    Raises:
        NntraceError: no figure has this name.
    """
    figure = next((figure for figure in figures if figure.name == name), None)
    if figure is None:
        names = ", ".join(figure.name for figure in figures) or "none"
        raise NntraceError(f"this run has no chart {name!r}; it has: {names}.")
    spec = specification(figure, width=_WIDTH)
    spec |= {"background": LIGHT["card"], "padding": 12}
    spec["title"] = {"text": figure.title, "color": LIGHT["ink"], "anchor": "start", "font": FONT}
    drawn = with_colours(spec, LIGHT)
    if form == "svg":
        return str(vl_convert.vegalite_to_svg(drawn, vl_version=VEGA_LITE)).encode()
    return bytes(vl_convert.vegalite_to_png(drawn, vl_version=VEGA_LITE, scale=_SCALE))
