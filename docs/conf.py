"""How Sphinx makes the site. `make docs` runs it; see build.py.

Sphinx with MyST was chosen over MkDocs: MkDocs 1 and its Material theme no longer get features. Pages stay plain
Markdown, to be read on a code host as well.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent
ROOT = HERE.parent

project = "Wardround"
author = "The Wardround developers"
copyright = "the Wardround developers, Apache-2.0"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["generate", "_build"]
nitpicky = True
highlight_language = "text"
show_warning_types = True

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

html_theme = "furo"
html_title = "Wardround"
html_static_path = ["_static"]
html_css_files = ["wide-tables.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5d4e", "color-brand-content": "#0b5d4e"},
    "dark_css_variables": {"color-brand-primary": "#6fd3bd", "color-brand-content": "#6fd3bd"},
}

# Where the repository can be read, for links to code; without it such links become the path alone.
SOURCE_URL = os.environ.get("WARDROUND_SOURCE_URL", "").rstrip("/")
_OUTSIDE = re.compile(r"(?<!!)\[([^\]]+)\]\((\.\./[^)\s]+)\)")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", adapt)


def adapt(_app: Sphinx, page: str, source: list[str]) -> None:
    """Links out of docs/ lead into the repository; pages that no list in the index names are listed at its end."""
    source[0] = _OUTSIDE.sub(lambda found: _outside(page, *found.groups()), source[0])
    if page == "index":
        source[0] = _without_empty_places(source[0])
        source[0] += _unfiled(source[0])


def _outside(page: str, text: str, target: str) -> str:
    path = (HERE / page).parent.joinpath(target).resolve()
    if path.is_relative_to(HERE):
        return f"[{text}]({target})"
    inside = path.relative_to(ROOT).as_posix()
    if SOURCE_URL:
        return f"[{text}]({SOURCE_URL}/{inside})"
    return text if inside.rstrip("/") in text else f"{text} (`{inside}`)"


def _without_empty_places(index: str) -> str:
    """The index keeps places for pages that may come, such as `onboarding*`."""
    kept = [line for line in index.splitlines() if not re.fullmatch(r"[\w-]+\*", line) or any(HERE.glob(f"{line}.md"))]
    return "\n".join(kept)


def _unfiled(index: str) -> str:
    named = [line.strip() for line in index.splitlines()]
    pages = sorted(path.stem for path in HERE.glob("*.md") if path.stem != "index")
    left = [page for page in pages if not any(Path(page).match(name) for name in named if name)]
    return "\n```{toctree}\n:hidden:\n:caption: More\n\n" + "\n".join(left) + "\n```\n" if left else ""
