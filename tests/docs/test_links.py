from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from docs.generate import FOLDER, PAGES
from tests.support.pages import ROOT, page, written

WRITTEN = written()
_PATH = re.compile(
    r"\b(?:policies|datasites|researcher|notebooks|compose|tests|benchmarks|docs)/[\w/.-]*\w\.(?:py|toml|md|ipynb|png)\b"
)
_TESTS = re.compile(r"\btest_\w+\b(?!\.py)")
# made by `make bench`, and not kept
_MADE = {"docs/algorithms.png", "docs/algorithms.md", "docs/codecs.md"}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _problem(source: Path, link: str) -> str:
    """What is wrong with a link that leads into the repository."""
    if re.match(r"[a-z]+:", link):
        return ""
    target, _, anchor = link.partition("#")
    path = (source.parent / target).resolve() if target else source
    if path.parent == FOLDER:
        if path.stem not in PAGES:
            return f"{link}: the reference has no such page"
    elif not path.exists():
        return f"{link}: there is no such file"
    if anchor and anchor not in page(path).anchors:
        return f"{link}: there is no such heading; there are {', '.join(sorted(page(path).anchors))}"
    return ""


@pytest.mark.parametrize("path", WRITTEN, ids=_name)
def test_every_link_leads_somewhere(path: Path) -> None:
    assert [problem for link in page(path).links if (problem := _problem(path, link))] == []


def test_a_broken_link_or_anchor_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# One heading\n\n[x](b.md) [y](#one-heading) [z](#another) [w](a.md)\n")
    assert len([link for link in page(tmp_path / "a.md").links if _problem(tmp_path / "a.md", link)]) == 2


@pytest.mark.parametrize("path", WRITTEN, ids=_name)
def test_every_file_and_test_that_is_named_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = set(_PATH.findall(text)) - _MADE
    assert [name for name in named if not (ROOT / name).exists() and not (path.parent / name).exists()] == []
    if path.parent == ROOT / "docs":
        assert set(_TESTS.findall(text)) - _tests() == set()


@cache
def _tests() -> set[str]:
    files = list((ROOT / "tests").rglob("*.py"))
    return {file.stem for file in files} | {
        n for file in files for n in re.findall(r"def (test_\w+)", file.read_text())
    }
