"""Writes the result of a query as a table for people, or as CSV or JSON for programs."""

import csv
from collections.abc import Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nntrace.text import printable
from nntrace.text.json import json_text
from nntrace.text.values import UNKNOWN

Rows = Sequence[Sequence[Any]]
_SHOWN = 200
_LONGEST = 80


def write_table(screen: Console, columns: Sequence[str], rows: Rows) -> None:
    """Print at most 200 rows as a table; below a longer result, how many rows there are."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for index, name in enumerate(columns):
        numeric = all(isinstance(row[index], int | float) for row in rows[:20] if row[index])
        table.add_column(printable(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows[:_SHOWN]:
        table.add_row(*(Text(_cell(value)) for value in row))
    screen.print(table)
    if len(rows) > _SHOWN:
        screen.print(Text(f"{_SHOWN} of {len(rows)} rows; --format csv gives all", "dim"))


def write_csv(file: TextIO, columns: Sequence[str], rows: Rows) -> None:
    """Write all rows as CSV, with a header."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(["" if value is None else value for value in row] for row in rows)


def write_json(file: TextIO, columns: Sequence[str], rows: Rows) -> None:
    """Write all rows as a JSON list of objects; a number that is not finite is null."""
    objects = [dict(zip(columns, row, strict=True)) for row in rows]
    file.write(json_text(objects) + "\n")


def _cell(value: Any) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, float):
        return f"{value:.6g}"
    return printable(str(value), _LONGEST)
