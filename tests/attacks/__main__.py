"""`make attack`: runs every attack, and prints what was tried and what held.

    python -m tests.attacks [pytest's own arguments]

Ends with one line `RESULT {json}`; exits with 1 when something leaked, a control or an honest study failed, an attack
could not be tried at all, or fewer attacks were tried than there must be.
"""

from __future__ import annotations

import json
import sys
import time

import pytest
from rich.console import Console

from tests.attacks.report import HERE, Reporter

LEAST = 60


def main(arguments: list[str]) -> int:
    reporter, started = Reporter(), time.monotonic()
    status = pytest.main([str(HERE), "-q", "-p", "no:cacheprovider", *arguments], plugins=[reporter])
    reporter.show(Console(highlight=False, width=120))
    result = {**reporter.result(), "seconds": round(time.monotonic() - started)}
    good = status == 0 and not result["leaked"] and not result["failed"]
    enough = result["tried"] >= LEAST
    if not enough:
        print(f"Only {result['tried']} attacks were tried; there must be at least {LEAST}.")
    print("RESULT", json.dumps(result))
    return 0 if good and enough else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
