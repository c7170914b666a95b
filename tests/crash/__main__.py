"""`make crash`: kill -9 at every line of critical sections and at random points of a federation at work.

Prints a table of what was tried and held, and ends with one line `RESULT {json}`; exits with 1 when anything was lost,
doubled, half-written or upset, or when fewer runs than asked for took place.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table
from syft.sync.version.version_info import VersionInfo

from datasites.runner.sandbox.choose import default_sandbox
from tests.crash import kept, pieces, synced
from tests.crash.section import DOUBLED, HALF, LOST, MESS, Problem, hold
from tests.crash.storm import Storm

console = Console(highlight=False)
_MEMORY = Path("/dev/shm")  # noqa: S108  (kill -9 loses nothing that the kernel holds: no disk is needed)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="kills at random points of a federation at work")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lines", type=int, default=60, help="most lines at which a single part is killed")
    parser.add_argument("--synced", type=int, default=10, help="most lines at which a part that syncs is killed")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    default_sandbox(private=True)  # tried once, here: all processes are forked from this one
    VersionInfo.current()
    began, table = time.monotonic(), Table("killed", "where", "tried", "held", title=f"kill -9, seed {given.seed}")
    problems: Counter[Problem] = Counter()
    root = Path(tempfile.mkdtemp(prefix="wardround-crash-", dir=_MEMORY if _MEMORY.is_dir() else None))
    points = _sections(root / "section", given, table, problems)
    runs = _storm(root / "storm", given, table, problems)
    console.print(table)
    for (kind, text), times in problems.most_common(40):
        console.print(f"[red]{kind}[/]: {text} ({times} times)", markup=True)
    kinds = {kind: sum(n for (k, _), n in problems.items() if k == kind) for kind in (LOST, DOUBLED, HALF, MESS)}
    good = not problems and runs == given.runs
    if good:
        shutil.rmtree(root)
    else:
        console.print(f"What is left lies in {root}")
    result = {"runs": runs, "points": points, "lost": kinds[LOST], "doubled": kinds[DOUBLED]}
    result |= {"half_written": kinds[HALF], "upset": kinds[MESS], "seconds": round(time.monotonic() - began)}
    print(f"RESULT {json.dumps({**result, 'seed': given.seed})}")
    return 0 if good else 1


def _sections(root: Path, given: argparse.Namespace, table: Table, problems: Counter[Problem]) -> int:
    """Every line of every critical section; returns how many kills there were."""
    kills, dice = 0, random.Random(given.seed)
    parts = [(section, given.lines) for section in (*pieces.SECTIONS, *kept.SECTIONS)]
    parts += [(section, given.synced) for section in synced.SECTIONS if given.synced]
    for section, most in parts:
        outcome = None
        with console.status(section.name) as status:
            for outcome in hold(section, root, most, dice):
                status.update(f"{section.name}: killed {outcome.killed} times")
        if outcome:
            wrong = sum(outcome.problems.values())
            lines = f"{section.name} ({outcome.points} lines)"
            table.add_row("at a line", lines, str(outcome.killed), _held(outcome.killed, wrong))
            problems.update({(kind, f"{section.name}, {text}"): n for (kind, text), n in outcome.problems.items()})
            kills += outcome.killed
    return kills


def _storm(root: Path, given: argparse.Namespace, table: Table, problems: Counter[Problem]) -> int:
    """Kills at random points; returns how many runs there were."""
    if given.runs == 0:
        return 0
    storm, done = Storm(root, given.seed), Counter[str]()
    storm.open()
    try:
        with console.status("a federation at work") as status:
            for number, what in enumerate(itertools.islice(storm.runs(), given.runs), 1):
                done[what] += 1
                status.update(f"run {number} of {given.runs}: {what}")
    finally:
        storm.finish()
    wrong = sum(storm.problems.values())
    for what, times in sorted(done.items()):
        victim, _, doing = what.partition(", ")
        table.add_row(victim, doing, str(times), _held(times, wrong))
    problems.update(storm.problems)
    return sum(done.values())


def _held(tried: int, wrong: int) -> str:
    return f"[green]{tried}[/]" if not wrong else f"[red]{wrong} problems[/]"


if __name__ == "__main__":
    sys.exit(main())
