"""A packet's document on a terminal.

All text passes `visible`, so that no submission writes on the terminal, and is handed over as `Text`, never as markup.
Every line of code stands behind its number or a mark, so that code cannot pass for a part of the packet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import chop_cells
from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from datasites.approval.packet.document import Block, Cell, Code, Diff, Document, Facts, Paragraph, Table
from datasites.approval.packet.visible import LINE, visible, visible_lines
from policies.code.review import MOST_LINES

_STYLES = {"plain": "", "good": "green", "bad": "red", "quiet": "dim"}
_DIFF = {"+": "green", "-": "red", "@": "dim"}
_GUTTER = 8


def draw(document: Document, console: Console) -> None:
    """Prints the whole document."""
    console.print(Text(visible(document.title), style="bold"))
    left = 2 * MOST_LINES  # code and differences
    for section in document.sections:
        console.print()
        console.print(Text(visible(section.title), style="bold underline"))
        for block in section.blocks:
            left = _draw(block, console, left)


def _draw(block: Block, console: Console, left: int) -> int:
    """Prints one block; returns how many lines of code may still be shown."""
    if isinstance(block, Paragraph):
        console.print(Padding(Text(visible(block.text, 5_000), style=_STYLES[block.tone]), (0, 0, 0, 2)))
    elif isinstance(block, Facts):
        console.print(_facts(block))
    elif isinstance(block, Table):
        console.print(_table(block))
        if block.more:
            console.print(Text(f"  and {block.more:,} more rows, not shown"))
    else:
        return _lines(block, console, left)
    return left


def _facts(facts: Facts) -> Grid:
    grid = Grid(show_header=False, box=None, padding=(0, 1, 0, 2))
    for what, value in facts.rows:
        grid.add_row(_cell(what), _cell(value))
    return grid


def _table(table: Table) -> Grid:
    grid = Grid()
    for name in table.head:
        grid.add_column(_cell(name))
    tones = table.tones or ["plain"] * len(table.rows)
    for row, tone in zip(table.rows, tones, strict=True):
        grid.add_row(*(_cell(cell) for cell in row), style=_STYLES[tone])
    return grid


def _cell(cell: Cell) -> Text:
    return Text(visible(str(cell)).replace("\t", " "), overflow="fold")


def _lines(block: Code | Diff, console: Console, left: int) -> int:
    console.print(Text(f"  {visible(block.path)}", style="bold"))
    texts = visible_lines(block.text) if isinstance(block, Code) else [visible(line, LINE) for line in block.lines]
    for number, text in enumerate(texts[:left], 1):
        gutter = f"{number:>{_GUTTER - 2}} │" if isinstance(block, Code) else f"{'│':>{_GUTTER}}"
        style = "" if isinstance(block, Code) else _DIFF.get(text[:1], "")
        _line(console, gutter, text, style)
        for note in block.notes.get(number, ())[:5] if isinstance(block, Code) else ():
            _line(console, f"{'!':>{_GUTTER - 2}} │", visible(note), "red")
    if len(texts) > left:
        _line(console, f"{'│':>{_GUTTER}}", f"⟨and {len(texts) - left:,} more lines, which are not shown here⟩", "red")
    return max(left - len(texts), 0)


def _line(console: Console, gutter: str, text: str, style: str) -> None:
    for number, part in enumerate(_parts(text.expandtabs(4), max(console.width - _GUTTER - 1, 20))):
        start = gutter if number == 0 else f"{'│':>{_GUTTER}}"
        console.print(Text.assemble((start, "dim"), " ", (part, style)), soft_wrap=True)


def _parts(text: str, width: int) -> Iterator[str]:
    parts: Sequence[str] = chop_cells(text, width) if text else [""]
    yield from parts
