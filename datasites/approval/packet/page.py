"""A packet as HTML: a page that needs nothing else, or a part for a notebook.

Every text passes `_text`, which shows hidden characters and escapes; the page's policy (CSP) forbids scripts and
anything from elsewhere, should that ever fail.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files

from datasites.approval.packet.document import Block, Cell, Code, Diff, Document, Facts, Paragraph, Place, Table
from datasites.approval.packet.visible import CELL, visible, visible_lines
from policies.code.review import MOST_LINES

_DIFF = {"+": "new", "-": "old", "@": "hunk"}


def page(document: Document, key: str) -> str:
    """A whole HTML page. `key` (letters and digits) makes the names of its anchors."""
    style = _style()
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{allowed}'; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_text(document.title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f"{_article(document, key, 'main')}\n</body>\n</html>\n"
    )


def fragment(document: Document, key: str) -> str:
    """The same for a notebook, in its theme."""
    return f"<style>{_style()}</style>{article(document, key)}"


def article(document: Document, key: str) -> str:
    """The document alone, for a page of ours that has `stylesheet` and a policy of its own."""
    return _article(document, key, "article")


@cache
def stylesheet() -> str:
    """For all of such a page; it follows the browser's colour scheme."""
    light, dark = _sheets()
    return f"{light}@media (prefers-color-scheme: dark) {{ .wardround {{\n{dark}}} }}\n"


def _sheets() -> tuple[str, str]:
    folder = files(__package__)
    return folder.joinpath("style.css").read_text("utf-8"), folder.joinpath("dark.css").read_text("utf-8")


@cache
def _style() -> str:
    light, dark = _sheets()
    return (
        f"{light}main.wardround {{ margin: 0 auto; padding: 1rem; background: var(--paper); }}\n"
        "body:has(> main.wardround) { margin: 0; }\n"
        f"@media (prefers-color-scheme: dark) {{ main.wardround {{\n{dark}}} :root {{ background: #14181e; }} }}\n"
        f"[data-jp-theme-light=false] .wardround, .vscode-dark .wardround {{\n{dark}}}\n"
    )


def _article(document: Document, key: str, tag: str) -> str:
    drawn = "".join(_Drawing(document, key).parts())
    return f'<{tag} class="wardround">\n{drawn}</{tag}>'


def _text(text: str, most: int = CELL) -> str:
    return html.escape(visible(text, most))


class _Drawing:
    """One document; it counts what it shows, so that no submission makes a page that no browser opens."""

    def __init__(self, document: Document, key: str) -> None:
        self._document, self._key = document, key
        self._left, self._title = 0, ""
        codes = [b for section in document.sections for b in section.blocks if isinstance(b, Code)]
        self._places = {code.path: f"{key}-{number}" for number, code in enumerate(codes)}

    def parts(self) -> Iterator[str]:
        yield f"<h1>{_text(self._document.title)}</h1>\n"
        for section in self._document.sections:
            self._title = section.title
            self._left = MOST_LINES  # of each section: a long comparison must not leave less of the code
            yield f"<section>\n<h2>{_text(section.title)}</h2>\n"
            for block in section.blocks:
                yield from self._block(block)
            yield "</section>\n"

    def _block(self, block: Block) -> Iterator[str]:
        if isinstance(block, Paragraph):
            yield f'<p class="{block.tone}">{_text(block.text, 5_000)}</p>\n'
        elif isinstance(block, Facts):
            rows = "".join(f'<tr><th scope="row">{_text(n)}</th><td>{_text(v)}</td></tr>\n' for n, v in block.rows)
            yield f'<div class="scroll"><table class="facts"><tbody>\n{rows}</tbody></table></div>\n'
        elif isinstance(block, Table):
            yield self._table(block)
        elif isinstance(block, Diff):
            yield from self._diff(block)
        else:
            yield from self._code(block)

    def _table(self, table: Table) -> str:
        head = "".join(f'<th scope="col">{_text(name)}</th>' for name in table.head)
        tones = table.tones or ["plain"] * len(table.rows)
        rows = "".join(self._row(table.head, row, tone) for row, tone in zip(table.rows, tones, strict=True))
        more = f"<p>and {table.more:,} more rows, not shown</p>\n" if table.more else ""
        if len(table.head) <= 3:
            shape, reach = "three", ""
        else:  # it may have to be scrolled: by keyboard too, and a reader is told what it holds
            shape, reach = "wide", f' tabindex="0" role="group" aria-label="{_text(self._title)}"'
        drawn = f'<table class="{shape}"><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table>'
        return f'<div class="scroll"{reach}>{drawn}</div>\n{more}'

    def _row(self, head: Sequence[str], row: Sequence[Cell], tone: str) -> str:
        first, *rest = (self._cell(cell) for cell in row)
        of = [_text(name) for name in head[1:]]
        cells = "".join(f'<td data-of="{name}">{cell}</td>' for name, cell in zip(of, rest, strict=True))
        return f'<tr class="{tone}"><th scope="row">{first}</th>{cells}</tr>\n'

    def _cell(self, cell: Cell) -> str:
        if isinstance(cell, Place) and cell.path in self._places:
            return f'<a href="#{self._places[cell.path]}-{cell.line}">{_text(str(cell))}</a>'
        return _text(str(cell))

    def _diff(self, diff: Diff) -> Iterator[str]:
        yield f'<h3>{_text(diff.path)}</h3>\n<ul class="code diff">\n'
        for line in self._taken(diff):
            tone = _DIFF.get(line[:1], "same")
            yield f'<li class="{tone}"><code>{html.escape(line)}</code></li>\n'
        yield "</ul>\n"

    def _code(self, code: Code) -> Iterator[str]:
        place = self._places[code.path]
        yield f'<h3>{_text(code.path)}</h3>\n<ol class="code">\n'
        for number, line in enumerate(self._taken(code), 1):
            notes = "".join(f'<span class="note">{_text(note)}</span>' for note in code.notes.get(number, ())[:5])
            yield f'<li id="{place}-{number}"><code>{html.escape(line)}</code>{notes}</li>\n'
        yield "</ol>\n"

    def _taken(self, block: Code | Diff) -> Iterator[str]:
        lines, most = block.lines, self._left
        self._left = max(most - len(lines), 0)
        return visible_lines(lines, most)
