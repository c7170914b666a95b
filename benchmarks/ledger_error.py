"""How far the ledger's epsilon is from dp-accounting's, over random histories of releases.

The ledger counts equal mechanisms together; dp-accounting is given each event by itself, in order. Takes
some minutes.

    python -m benchmarks.ledger_error [HISTORIES]
"""

from __future__ import annotations

import json
import random
import sys

from benchmarks.histories import history, reference
from policies.privacy.accounting import INTERVAL, epsilon

DELTA, MOST_ERROR = 1e-5, 1e-6


def main(histories: int = 1_000) -> int:
    """Returns the exit status: 0 when the aim is met."""
    rng = random.Random(0)
    errors: list[float] = []
    epsilons: list[float] = []
    for _ in range(histories):
        events = history(rng)
        epsilons.append(epsilon(events, DELTA))
        errors.append(abs(epsilons[-1] - reference(events, DELTA, INTERVAL)))
    print(f"{histories:,} histories, epsilon {min(epsilons):.3g} to {max(epsilons):.3g}")
    print("RESULT " + json.dumps({"histories": histories, "ledger_max_error": float(f"{max(errors):.3g}")}))
    return 0 if max(errors) <= MOST_ERROR else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
