"""The layers as a tree: the numbers of the last sample, and one metric over time as a heat map."""

from typing import ClassVar, Final

from rich.text import Text
from textual.binding import Binding, BindingType

from nntrace_tui.draw import strip
from nntrace_tui.literal import line, literal, shorten_path
from nntrace_tui.pages.heat import worst_of
from nntrace_tui.pages.layers import LayersPage
from nntrace_tui.pages.tree import Node, flat, groups, tree
from nntrace_tui.themes import Palette, palette
from nntrace_tui.widgets.layer_columns import COLUMNS, Column
from nntrace_tui.widgets.line_list import LineList

_FOLD_FROM_LAYERS: Final = 200
_WIDE: Final = 100
_NARROW_COLUMNS: Final = 4
_MOST_LABEL: Final = 44
_HEAT_LEAST: Final = 12


class LayersHeat(LineList):
    """A tree or list of layers, from a `LayersPage`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "fold(True)", "Fold", show=False),
        Binding("right,l", "fold(False)", "Unfold", show=False),
        Binding("s", "sort", "Worst first"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.border_title = "Layers"
        self._page: LayersPage | None = None
        self._folded: frozenset[str] | None = None
        self._words = ""
        self._by_anomaly = False
        self._visible: tuple[Node, ...] = ()
        self._has_groups = False
        self._longest = 0

    def show(self, page: LayersPage) -> None:
        """Update the lines; the cursor stays on the same layer."""
        if page is self._page:
            return
        self._page = page
        if self._folded is None and page.rows:
            paths = [row.path for row in page.rows]
            deep = len(paths) > _FOLD_FROM_LAYERS
            self._folded = groups(paths, 1, page.separator) if deep else frozenset()
        self._arrange()

    def filter(self, words: str) -> None:
        """Show layers whose path contains all `words`, as a flat list; without words the tree."""
        self._words = words
        self._arrange()

    def path_at(self, index: int) -> str | None:
        """Return the path of the layer on a line; on a group's line, its first layer's."""
        if self._page is None or not 0 <= index < len(self._visible):
            return None
        node = self._visible[index]
        return self._page.rows[node.inside[0] if node.layer is None else node.layer].path

    def action_sort(self) -> None:
        """Switch between worst layers first and execution order."""
        self._by_anomaly = not self._by_anomaly
        self._arrange(keep=False)

    def action_fold(self, fold: bool) -> None:
        """Fold or unfold the group under the cursor; on a leaf, fold the group around it."""
        if not self._visible or self._page is None:
            return
        node = self._visible[self.cursor]
        folded = self._folded or frozenset()
        if not fold:
            self._folded = folded - {node.path}
        elif node.is_group and not node.is_folded:
            self._folded = folded | {node.path}
        elif node.depth:
            above = next(n for n in self._visible[self.cursor :: -1] if n.depth < node.depth)
            self._folded = folded | {above.path}
            self.cursor = self._visible.index(above)
        self._arrange()

    def _arrange(self, *, keep: bool = True) -> None:
        page = self._page
        if page is None:
            return
        here = self._visible[self.cursor].path if self._visible else None
        paths = [row.path for row in page.rows]
        if self._words or self._by_anomaly:
            order = list(range(len(paths)))
            if self._by_anomaly:
                order.sort(key=lambda n: -page.anomalies[n])
            self._visible = flat(paths, order, self._words)
        else:
            self._visible = tree(paths, self._folded or (), page.separator)
        self._has_groups = any(node.is_group for node in self._visible)
        self._longest = self._longest_label(page)
        places = [node.path for node in self._visible]
        if keep and here in places:
            self.cursor = places.index(here)
        self.border_title = self._title(page)
        self.renew()
        if not keep:
            self.move_to(0)

    def _title(self, page: LayersPage) -> Text:
        title = Text(f"Layers · {page.metric}")
        if self._words:
            title.append(" · with ").append_text(literal(self._words))
        if self._by_anomaly:
            title.append(" · worst first")
        if page.sampled_step is not None:
            title.append(f" · step {page.sampled_step:,}")
        return title

    @property
    def count(self) -> int:
        """The number of lines."""
        return len(self._visible)

    def heading(self, width: int) -> Text:
        """Return the names of the columns, and the steps between which the heat map extends."""
        text = Text("layer", no_wrap=True, style="bold")
        text.pad_right(self._label_width(width) - 5)
        for column in self._columns(width):
            text.append(column.label.rjust(column.width))
        steps = [] if self._page is None else self._page.heat.steps.tolist()
        room = width - text.cell_len - 2
        if steps and room >= _HEAT_LEAST:
            first, last = f"{steps[0]:,}", f"{steps[-1]:,}"
            gap = room - len(first) - len(last)
            text.append(f"  {first}{' ' * gap}{last}" if gap > 0 else f"  {last}")
        return text

    def line(self, index: int, width: int) -> Text:
        """Return a layer's or group's label, its numbers and its part of the heat map."""
        page, node = self._page, self._visible[index]
        if page is None:
            return Text()
        colours = palette(self.app)
        text = self._label(page, node, self._label_width(width), colours)
        row = None if node.layer is None else page.rows[node.layer]
        for column in self._columns(width):
            text.append_text(column.cell(row, page.bands, colours))
        if node.is_folded:
            levels = worst_of(page.heat.levels[list(node.inside)])
        elif node.layer is not None:
            levels = page.heat.levels[node.layer]
        else:
            return text
        text.append("  ")
        return text.append_text(strip(levels, width - text.cell_len, colours))

    def _label(self, page: LayersPage, node: Node, width: int, colours: Palette) -> Text:
        fold = ("▸ " if node.is_folded else "▾ ") if node.is_group else "  "
        text = line("  " * node.depth + (fold if self._has_groups else ""), colours.dim)
        room = width - text.cell_len - 1
        kind = page.rows[node.layer].module_type if node.layer is not None else ""
        label = shorten_path(node.label, room)
        text.append(label, "bold" if node.is_group else "")
        if kind and len(label) + 4 < room:
            text.append(" ")
            text.append_text(literal(kind, colours.dim))
        text.truncate(width - 1, overflow="ellipsis")
        text.pad_right(width - text.cell_len)
        return text

    def _label_width(self, width: int) -> int:
        numbers = sum(column.width for column in self._columns(width))
        return max(14, min(self._longest, _MOST_LABEL, width - numbers - 2 * _HEAT_LEAST))

    def _longest_label(self, page: LayersPage) -> int:
        """Return the width of the longest label; it is measured once for all lines."""
        longest = 8
        for node in self._visible:
            kind = "" if node.layer is None else page.rows[node.layer].module_type
            length = 2 * node.depth + len(shorten_path(node.label)) + len(kind) + 5
            longest = max(longest, length)
        return longest

    def _columns(self, width: int) -> tuple[Column, ...]:
        return COLUMNS if width >= _WIDE else COLUMNS[:_NARROW_COLUMNS]
