"""The reference pages of the documentation, made from the code itself: nothing of them is written by hand.

Each module makes one page with `page()`, and tells with `undocumented()` what its code does not explain.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from docs.generate import commands, policy, python, settings

PAGES: dict[str, ModuleType] = {"commands": commands, "settings": settings, "policy": policy, "python": python}
FOLDER = Path(__file__).parents[1] / "reference"


def write(folder: Path = FOLDER) -> list[Path]:
    """Writes all pages; those that have not changed are left alone, so that they are not built again."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, module in PAGES.items():
        path, text = folder / f"{name}.md", module.page()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
        written.append(path)
    return written
