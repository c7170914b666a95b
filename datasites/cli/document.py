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
from datasites.approval.packet.visible import visible, visible_lines
from policies.code.review import MOST_LINES

_STYLES = {"plain": "", "good": "green", "bad": "red", "quiet": "dim"}
_DIFF = {"+": "green", "-": "red", "@": "dim"}
_GUTTER = 8


def draw(document: Document, console: Console) -> None:
    """Prints the whole document."""
    console.print(Text(visible(document.title), style="bold"))
    for section in document.sections:
        left = MOST_LINES  # of each section: a long comparison must not leave less of the code
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
    lines, notes = block.lines, block.notes if isinstance(block, Code) else {}
    drawn: list[Text] = []
    for number, text in enumerate(visible_lines(lines, left), 1):
        style = _DIFF.get(text[:1], "") if isinstance(block, Diff) else ""
        drawn += _line(console.width, str(number) if isinstance(block, Code) else "", text, style)
        for note in notes.get(number, ())[:5]:
            drawn += _line(console.width, "!", visible(note), "red")
    console.print(Text("\n").join(drawn), soft_wrap=True)
    return max(left - len(lines), 0)


def _line(width: int, mark: str, text: str, style: str) -> Iterator[Text]:
    parts: Sequence[str] = chop_cells(text.expandtabs(4), max(width - _GUTTER - 1, 20)) if text else [""]
    for number, part in enumerate(parts):
        yield Text.assemble((f"{mark if number == 0 else '':>{_GUTTER - 2}} │ ", "dim"), (part, style))
