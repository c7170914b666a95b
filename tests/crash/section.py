"""A critical section: what is done, killed at each of its lines, done again, and held to what must be true."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType

import datasites
import policies
import researcher
from tests.crash.fork import Where, in_child, killed_at, lines_of

_OURS = tuple(f"{Path(str(package.__file__)).parent}/" for package in (datasites, policies, researcher))
LOST, DOUBLED, HALF, MESS = "lost", "doubled", "half-written", "upset"
Problem = tuple[str, str]  # one of these four, and a sentence


def ours(code: CodeType) -> bool:
    """Every function of this project."""
    return code.co_filename.startswith(_OURS)


@dataclass(frozen=True)
class Section:
    """Every function gets the folder of one run, a copy of what `prepare` made.

    work: may be killed anywhere; it calls `say` after each thing that it reports as done.
    again: what people or the agent do after a crash; run to its end after each kill.
    check: what is wrong; called after the kill (`final` False: nothing half-written, nothing that was said is lost)
    and after `again` (`final` True: everything is there once).
    where: the functions whose lines are the points.
    """

    name: str
    prepare: Callable[[Path], None]
    work: Callable[[Path], None]
    again: Callable[[Path], None]
    check: Callable[[Path, bool], list[Problem]]
    where: Where = ours


@dataclass
class Outcome:
    name: str
    points: int = 0
    killed: int = 0
    problems: Counter[Problem] = field(default_factory=Counter)


def say(folder: Path, what: str) -> None:
    """Reports something as done: from now on it must never be lost."""
    with (folder / "said").open("ab", buffering=0) as stream:
        stream.write(f"{what}\n".encode())


def said(folder: Path) -> list[str]:
    path = folder / "said"
    return path.read_text().split() if path.exists() else []


def hold(section: Section, root: Path, most: int, dice: random.Random) -> Iterator[Outcome]:
    """Kills the section at `most` of its lines (spread evenly, from a random first one), or at all of them if they are
    fewer. Yields the outcome so far after each."""
    template, folder = root / "template", root / "run"
    outcome = Outcome(section.name)
    shutil.rmtree(root, ignore_errors=True)
    template.mkdir(parents=True)

    def fresh() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(template, folder, symlinks=True)

    folder.mkdir()
    in_child(lambda: section.prepare(folder))  # at the very place where it will be used
    shutil.rmtree(template)
    shutil.copytree(folder, template, symlinks=True)
    outcome.points = lines_of(lambda: section.work(folder), section.where)
    step = max(1.0, outcome.points / most)
    start = dice.uniform(0, step) if step > 1 else 0.0
    for line in sorted({1 + int(start + step * i) for i in range(most)}):
        if line > outcome.points:
            break
        fresh()
        outcome.killed += killed_at(lambda: section.work(folder), line, section.where)
        found = section.check(folder, False)
        in_child(lambda: section.again(folder))
        found += section.check(folder, True)
        outcome.problems.update((kind, f"line {line}: {text}") for kind, text in found)
        yield outcome
    shutil.rmtree(root, ignore_errors=True)
