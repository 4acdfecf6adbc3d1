"""Numbers as text: what a cell shows, with and without colours."""

import math

import numpy as np
import pytest
from nntrace_tui.draw import bar, density, picture, scale_marker, sign, sparkline, strip
from nntrace_tui.pages.curve import Curve, curve
from nntrace_tui.themes import OWN, Palette, palette
from nntrace_tui.widgets.program_output import Tail, clean
from textual.app import App

COLOURS = Palette(
    *("#ff0000", "#ffff00", "#00ffff", "#00ff00", "#777777", "#0000ff", "#ff8800"),
    *("#0000ff", "#222222", "#ff8800", "#ff00ff", "#000000"),
    has_shades=True,
)
SIGNS = Palette(*("",) * 12, has_shades=False)


def line(values: list[float]) -> Curve:
    return curve(np.arange(float(len(values))), np.array(values))


def test_a_sparkline_reaches_from_the_least_to_the_largest() -> None:
    assert sparkline(line([0, 1, 2, 3, 4, 5, 6, 7]), 8) == "▁▂▃▄▅▆▇█"


def test_a_spike_between_columns_is_not_lost() -> None:
    values = [0.0] * 1000
    values[777] = 1.0
    assert sparkline(line(values), 20).count("█") == 1


def test_decades_are_drawn_on_a_logarithmic_scale() -> None:
    assert sparkline(line([1e-8, 1e-4, 1.0]), 3)[1] == "▅"


@pytest.mark.parametrize(("values", "shown"), [([], ""), ([2.0], "▁"), ([2.0, 2.0], "▁▁▁▁")])
def test_a_constant_is_a_flat_line_and_nothing_is_nothing(values, shown) -> None:
    assert sparkline(line(values), 4) == shown


def test_without_shades_levels_are_signs() -> None:
    levels = np.array([0.0, 0.9, -0.9, math.inf, math.nan])
    assert strip(levels, 5, SIGNS).plain == "·▲▼× "


def test_with_shades_a_cell_has_two_columns() -> None:
    shown = strip(np.array([1.0, -1.0]), 1, COLOURS)
    assert shown.plain == "▌"
    assert shown.spans[0].style == "#FF8800 on #0000FF"


@pytest.mark.parametrize("width", [0, 1, 7, 300])
def test_a_strip_is_as_wide_as_asked(width) -> None:
    for colours in (COLOURS, SIGNS):
        assert strip(np.linspace(-1, 1, 100), width, colours).cell_len == width


def test_every_level_has_a_sign() -> None:
    assert [sign(level) for level in (0.2, 0.4, -0.4, -math.inf)] == ["·", "▲", "▼", "×"]


@pytest.mark.parametrize("value", [-math.inf, math.nan, -9.0, -3.0, 5.0, math.inf])
def test_a_marker_stays_on_its_scale(value) -> None:
    shown = scale_marker(value, (-6, 0), (-4, -2), (-5.0, math.nan), 30, COLOURS)
    assert shown.cell_len == 30
    assert shown.plain.count("●") == (0 if math.isnan(value) else 1)


@pytest.mark.parametrize(("share", "shown"), [(0, ""), (0.5, "██"), (1, "████"), (0.03125, "▏")])
def test_a_bar_is_drawn_in_eighths(share, shown) -> None:
    assert bar(share, 4) == shown


def test_the_highest_bin_of_a_histogram_stands_on_top() -> None:
    top, bottom = density(np.array([[0.0, 0.0], [1.0, 1.0]]), 4, SIGNS)
    assert (top.plain, bottom.plain) == ("████", "    ")


@pytest.mark.parametrize("shape", [(28, 28, 3), (64, 64, 3), (5, 31, 3), (4, 4, 3)])
def test_a_picture_fits_its_lines(shape) -> None:
    for colours in (COLOURS, SIGNS):
        lines = picture(np.full(shape, 255.0), 8, colours)
        assert 0 < len(lines) <= 8
        assert len({text.cell_len for text in lines}) == 1


def test_colours_of_all_themes_tell_low_high_and_not_finite_apart() -> None:
    app: App[None] = App()
    for theme in OWN:
        app.register_theme(theme)
        app.theme = theme.name
        colours = palette(app)
        shown = {colours.level(-1.0), colours.level(0.0), colours.level(1.0), colours.nonfinite}
        assert len(shown) == 4


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (b"\x1b[1;31mred\x1b[0m", "red"),
        (b" 10%|#  |\r 20%|## |", " 20%|## |"),
        (b"done\r", "done"),
        (b"\x1b]0;title\x07x\x1b[2J", "x"),
        (b"\xff\x00", "�\\x00"),
    ],
)
def test_what_a_program_prints_is_shown_inertly(written, shown) -> None:
    assert clean(written) == shown


def test_the_end_of_a_long_output_is_kept(tmp_path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(b"line %d\n" % n for n in range(50_000)) + b"half")
    tail = Tail(path)
    assert tail.read()
    assert tail.lines[-1] == "half"
    assert tail.lines[-2] == "line 49999"
    assert len(tail.lines) <= 200
    with path.open("ab") as file:
        file.write(b" a line\n")
    assert tail.read()
    assert tail.lines[-1] == "half a line"
    assert not tail.read()
