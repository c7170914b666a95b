"""The documentation as tests see it: pages, headings, links, blocks of code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from docs.generate import FOLDER, PAGES

ROOT = Path(__file__).parents[2]
_MARKDOWN = MarkdownIt("commonmark").enable("table")


def written() -> list[Path]:
    """Every page that a person wrote."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    for folder in ("policies", "datasites", "researcher", "notebooks", "compose", "benchmarks", "tests"):
        found += (ROOT / folder).rglob("*.md")
    return sorted(found)


@dataclass(frozen=True)
class Page:
    """`tokens` of markdown-it."""

    path: Path
    tokens: tuple[Token, ...]

    @property
    def inline(self) -> Iterator[Token]:
        """Words, links and code within the lines."""
        for token in self.tokens:
            yield from token.children or ()

    @property
    def links(self) -> list[str]:
        """Targets of links and sources of images."""
        named = [token.attrGet("href") or token.attrGet("src") for token in self.inline]
        return [str(target) for target in named if target]

    @property
    def blocks(self) -> list[tuple[str, str]]:
        """Fenced and indented code: what stands behind the fence, and the text."""
        return [(token.info.strip(), token.content) for token in self.tokens if token.type in ("fence", "code_block")]

    @property
    def codes(self) -> list[str]:
        """Code within the lines."""
        return [token.content for token in self.inline if token.type == "code_inline"]

    @property
    def anchors(self) -> set[str]:
        """Of its headings, as GitHub and MyST make them."""
        found: list[str] = []
        for before, token in zip(self.tokens, self.tokens[1:], strict=False):
            if before.type == "heading_open":
                text = "".join(child.content for child in token.children or () if child.type in ("text", "code_inline"))
                found.append(re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-"))
        return {
            name if not found[:i].count(name) else f"{name}-{found[:i].count(name)}" for i, name in enumerate(found)
        }


@cache
def page(path: Path) -> Page:
    """A page that was written, or one of the reference, which is made now. Raises FileNotFoundError."""
    made = path.parent == FOLDER and path.suffix == ".md" and PAGES.get(path.stem)
    return Page(path, tuple(_MARKDOWN.parse(made.page() if made else path.read_text(encoding="utf-8"))))
