"""The table of sites: as wide as it needs, and folded where the terminal is narrower."""

import pytest
from rich.cells import cell_len

from nntrace.cli.show_text import sites_table

NUMBERS = ("mean", "std", "min", "max", "zero_fraction", "nonfinite_fraction")


def site(path, value=0.5):
    return {
        "path": path,
        "role": "param",
        "module_type": "Linear",
        "shape": (8, 4),
        "last": dict.fromkeys(NUMBERS, value),
    }


@pytest.mark.parametrize("width", [1000, 90])
def test_columns_line_up_whatever_the_paths_are(width):
    table = list(sites_table([site("fc"), site("层.权重", -1.25), site("block." * 9)], width))
    rows = [line for line in table if "%" in line]
    assert len(rows) == 3
    assert len({cell_len(line) for line in [table[0], *rows]}) == 1
    assert len({cell_len(line[: line.index("param")]) for line in rows}) == 1


def test_a_path_too_long_for_the_terminal_goes_on_below():
    path = "encoder.layers.11.attention.projection.weight"
    assert len(list(sites_table([site(path)], 1000))) == 2
    _, first, *rest = sites_table([site(path)], 90)
    assert len(first) <= 90
    assert first.split()[0] + "".join(rest) == path
