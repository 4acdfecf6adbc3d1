"""Numbers as text: sparklines, heat strips, bars, pictures. Pure functions of width and palette.

Without shades of colour a level is drawn as a sign: `▲` above its band, `▼` below, `·` within.
"""

import math
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from rich.text import Text

from nntrace.trace.model import FloatArray
from nntrace_tui.literal import line
from nntrace_tui.metrics import WITHIN
from nntrace_tui.pages.curve import Curve
from nntrace_tui.pages.heat import squeeze
from nntrace_tui.themes import Palette

_BLOCKS = "▁▂▃▄▅▆▇█"
_LOG_FROM_RATIO = 50.0
_SHADES = " ░▒▓█"


def sparkline(curve: Curve, width: int) -> str:
    """The curve in one line, with the largest value of each column; empty without values."""
    if not curve.values or width <= 0:
        return ""
    values = np.array(curve.values)
    if values.min() > 0 and values.max() / values.min() > _LOG_FROM_RATIO:
        values = np.log10(np.maximum(values, 1e-300))
    steps = np.array(curve.steps)
    span = steps[-1] - steps[0]
    if span <= 0:
        return _BLOCKS[0]
    columns = np.minimum(((steps - steps[0]) / span * width).astype(int), width - 1)
    tops = np.full(width, -np.inf)
    np.maximum.at(tops, columns, values)
    for column in range(1, width):  # a column between two samples shows the earlier one
        if not math.isfinite(tops[column]):
            tops[column] = tops[column - 1]
    low, high = float(values.min()), float(values.max())
    if not high > low:
        return _BLOCKS[0] * width
    shares = (tops - low) / (high - low)
    return "".join(_BLOCKS[min(7, int(share * 8))] for share in shares)


def strip(levels: FloatArray, width: int, palette: Palette) -> Text:
    """Levels over time, two columns to a cell, stretched or squeezed to the width."""
    text = Text(no_wrap=True)
    if width <= 0 or not len(levels):
        return text
    if not palette.has_shades:
        fitted = _fit(levels, width)
        for style, run in groupby(map(float, fitted), lambda level: _sign_style(level, palette)):
            text.append("".join(sign(level) for level in run), style)
        return text
    colours = [_colour(float(level), palette) for level in _fit(levels, 2 * width)]
    for (left, right), cells in groupby(zip(colours[::2], colours[1::2], strict=True)):
        count = len(list(cells))
        text.append("▌" * count if left != right else " " * count, f"{left} on {right}")
    return text


def sign(level: float) -> str:
    """The character for a level, for use without colours."""
    if math.isnan(level):
        return " "
    if math.isinf(level):
        return "×"
    if abs(level) <= WITHIN + 1e-9:
        return "·"
    return "▲" if level > 0 else "▼"


def ramp(palette: Palette, low: str, high: str) -> Text:
    """A legend for the colours of a strip: from too low over the band to too high."""
    text = line(f"{low} ", palette.dim)
    if palette.has_shades:
        for level in np.linspace(-1, 1, 9):
            text.append(" ", f"on {palette.level(float(level))}")
    else:
        text.append("▼ · ▲")
    text.append(f" {high}", palette.dim)
    text.append("  ")
    if palette.has_shades:
        text.append(" ", f"on {palette.nonfinite}")
    else:
        text.append("×", palette.nonfinite)
    text.append(" not finite", palette.dim)
    return text


def bar(share: float, width: int) -> str:
    """A horizontal bar in eighths of a cell."""
    eighths = round(min(1.0, max(0.0, share)) * width * 8)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (" ▏▎▍▌▋▊▉"[rest] if rest else "")


def density(shares: FloatArray, width: int, palette: Palette) -> list[Text]:
    """Histograms over time, [bins, columns] in 0–1, the highest bin first."""
    columns = np.arange(width) * shares.shape[1] // max(1, width)
    lines = []
    for row in shares[::-1]:
        text = Text(no_wrap=True)
        for level, run in groupby(round(8 * math.sqrt(value)) for value in row[columns].tolist()):
            count = len(list(run))
            if palette.has_shades:
                text.append(" " * count, f"on {palette.share(level / 8)}")
            else:
                text.append(_SHADES[level // 2] * count, palette.curve)
        lines.append(text)
    return lines


def picture(pixels: FloatArray, rows: int, palette: Palette) -> list[Text]:
    """An image [height, width, 3] in 0–255, at most `rows` lines high; square pixels."""
    height, width = pixels.shape[:2]
    per_line = 2 if palette.has_shades else 1
    shrink = max(1, math.ceil(height / (per_line * rows)))
    small = pixels[: height - height % shrink : shrink, : width - width % shrink : shrink]
    if not palette.has_shades:
        grey = small.mean(axis=2) / 256
        return [Text("".join(_SHADES[int(5 * v)] * 2 for v in row)) for row in grey.tolist()]
    if len(small) % 2:
        small = np.concatenate([small, small[-1:]])
    lines = []
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        text = Text(no_wrap=True)
        for top, bottom in zip(upper, lower, strict=True):
            text.append("▀", f"{_hex(top)} on {_hex(bottom)}")
        lines.append(text)
    return lines


def scale_marker(
    value: float,
    ends: tuple[float, float],
    band: tuple[float, float],
    spread: tuple[float, float],
    width: int,
    palette: Palette,
) -> Text:
    """A value on a scale, `  ····━━●━──  `: the band is dotted, the spread a line."""
    low, high = ends

    def cell(at: float) -> int:
        share = min(1.0, max(0.0, (at - low) / (high - low)))
        return min(width - 1, int(share * width))

    text = Text(no_wrap=True)
    band_cells = range(cell(band[0]), cell(band[1]) + 1)
    finite = math.isfinite(spread[0]) and math.isfinite(spread[1])
    spread_cells = range(cell(spread[0]), cell(spread[1]) + 1) if finite else range(0)
    here = None if math.isnan(value) else cell(value)
    for position in range(width):
        inside = position in band_cells
        if position == here:
            out = not band[0] <= value <= band[1]
            text.append("●", f"bold {palette.warning if out else palette.curve}")
        elif position in spread_cells:
            text.append("━" if inside else "─", palette.curve)
        else:
            text.append("·" if inside else " ", palette.dim)
    return text


def _fit(levels: FloatArray, width: int) -> FloatArray:
    if len(levels) > width:
        return squeeze(levels, width)
    return levels[np.arange(width) * len(levels) // width]


def _colour(level: float, palette: Palette) -> str:
    if math.isnan(level):
        return palette.empty
    return palette.nonfinite if math.isinf(level) else palette.level(level)


def _sign_style(level: float, palette: Palette) -> str:
    if math.isnan(level):
        return ""
    return palette.nonfinite if math.isinf(level) else palette.level(level)


def _hex(colour: FloatArray) -> str:
    red, green, blue = (int(value) & 255 for value in colour.tolist())
    return f"#{red:02x}{green:02x}{blue:02x}"


def join(parts: Sequence[Text], gap: str = "  ") -> Text:
    """Join texts side by side in one line."""
    return Text(gap, no_wrap=True).join(parts)
