"""The data page: what enters the network."""

from functools import partial

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll

from nntrace_tui.draw import bar, picture, sparkline
from nntrace_tui.literal import line, literal
from nntrace_tui.numbers import MISSING, percent, short_number
from nntrace_tui.pages.batches import DataPage, TensorRow
from nntrace_tui.screens.page import PageScreen
from nntrace_tui.snapshot import Snapshot
from nntrace_tui.themes import Palette
from nntrace_tui.view import Page
from nntrace_tui.widgets.drawing import Drawing

_PICTURE_LINES = 14
_BAR_CELLS = 24
_NUMBERS = ("mean", "std", "min", "max")


class DataScreen(PageScreen):
    """Shows what the sampled batches held."""

    PAGE = Page.DATA
    HELP = """\
What enters the network and the loss, as it is after all preprocessing.

Tensors    the moments of the last sampled batch, mean and std over the run
Batches    how many sampled batches were seen before, how many examples are exact copies
           of another one of their batch
Labels     how often each class was seen in the sampled batches
Pictures   the first examples of the first batch, if they look like images
"""
    AUTO_FOCUS = "#tensors"

    def body(self) -> ComposeResult:
        """Yield tensors and batches on the left, labels and pictures on the right."""
        with Container(id="data-panes"):
            for name, title in (("tensors", "Tensors"), ("labels", "Labels and pictures")):
                scroll = VerticalScroll(Drawing(id=f"{name}-text"), id=name)
                scroll.border_title = title
                yield scroll

    def show_content(self, snapshot: Snapshot) -> None:
        """Bring both panes up to date."""
        page = snapshot.content
        if not isinstance(page, DataPage):
            return
        self.query_one("#tensors-text", Drawing).draw(partial(tensors_text, page))
        self.query_one("#labels-text", Drawing).draw(partial(labels_text, page))


def tensors_text(page: DataPage, width: int, _height: int, colours: Palette) -> Text:
    """Draw inputs, targets and predictions, then the batches."""
    lines: list[Text] = []
    for row in page.tensors:
        lines += _tensor(row, width, colours)
    if not page.tensors:
        lines.append(Text("No batch was sampled yet.", colours.dim))
    lines.append(Text())
    lines += [
        _fact("loss function", page.loss_function or MISSING, colours),
        _fact("batch size", _count(page.batch_size), colours),
        _fact("sampled batches", f"{page.batches:,}", colours),
        _fact("seen before", _repeats(page), colours, bad=page.longest_repeat >= 5),
        _fact("copies in a batch", _duplicates(page), colours),
    ]
    lines += [_fact("loader", loader, colours) for loader in page.loaders[:4]]
    return Text("\n", no_wrap=True, overflow="ellipsis").join(lines)


def labels_text(page: DataPage, width: int, _height: int, colours: Palette) -> Text:
    """Draw the classes seen, then pictures."""
    lines: list[Text] = []
    if page.labels:
        of = f" of {page.classes:,} outputs" if page.classes else ""
        lines.append(Text(f"{page.label_kinds:,} classes seen{of}", colours.dim))
        most = page.labels[0][1] or 1
        for label, count in sorted(page.labels):
            text = line(f"{label:>6} ", colours.dim)
            text.append(bar(count / most, min(_BAR_CELLS, max(4, width - 20))), colours.curve)
            lines.append(text.append(f" {count:,}"))
    else:
        lines.append(Text("The targets are no class labels.", colours.dim))
    lines.append(Text())
    lines += _pictures(page, width, colours)
    return Text("\n", no_wrap=True).join(lines)


def _tensor(row: TensorRow, width: int, colours: Palette) -> list[Text]:
    title = literal(row.name, "bold")
    shape = "×".join(map(str, row.shape)) or "scalar"
    title.append(f"  {row.role} {shape} ", colours.dim).append_text(literal(row.dtype, colours.dim))
    numbers = Text("  ", no_wrap=True)
    for name in _NUMBERS:
        numbers.append(f"{name} ", colours.dim)
        numbers.append(f"{short_number(row.latest.get(name)):<9}")
    bad = row.latest.get("nonfinite_fraction")
    if bad:
        numbers.append(f"{percent(bad)} not finite", colours.error)
    lines = [title, numbers]
    for name, curve in (("mean", row.mean), ("std", row.std)):
        history = sparkline(curve, min(60, max(0, width - 8)))
        lines.append(line(f"  {name:<5}", colours.dim).append(history, colours.curve))
    return lines


def _fact(name: str, value: str, colours: Palette, *, bad: bool = False) -> Text:
    text = line(f"{name:<18}", colours.dim)
    return text.append_text(literal(value, colours.warning if bad else ""))


def _count(value: int | None) -> str:
    return MISSING if value is None else f"{value:,}"


def _repeats(page: DataPage) -> str:
    if not page.repeats:
        return "none"
    row = f"; the same one {page.longest_repeat} times in a row" if page.longest_repeat > 1 else ""
    return f"{page.repeats:,} of {page.batches:,}{row}"


def _duplicates(page: DataPage) -> str:
    if not page.examples:
        return MISSING
    return f"{percent(page.duplicate_examples / page.examples)} of {page.examples:,} examples"


def _pictures(page: DataPage, width: int, colours: Palette) -> list[Text]:
    """Draw as many pictures side by side as there is room for."""
    lines: list[Text] = []
    row: list[list[Text]] = []
    used = 0
    for image in page.pictures:
        drawn = picture(image.pixels, _PICTURE_LINES, colours)
        cells = drawn[0].cell_len if drawn else 0
        label = Text(image.label or "", colours.dim)
        label.truncate(cells)
        label.pad_right(cells - label.cell_len)
        if used + cells + 2 > width and row:
            lines += _beside(row)
            row, used = [], 0
        row.append([*drawn, label])
        used += cells + 2
    return lines + _beside(row)


def _beside(pictures: list[list[Text]]) -> list[Text]:
    height = max((len(drawn) for drawn in pictures), default=0)
    lines = []
    for number in range(height):
        parts = [drawn[number] if number < len(drawn) else Text() for drawn in pictures]
        lines.append(Text("  ", no_wrap=True).join(parts))
    return lines
