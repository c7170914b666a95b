"""`make privacy`: attacks on the hospital's own training, and what privacy costs, measured.

    python -m tests.privacy [--seed 0] [--tables 20] [--histories 100] [--auc-seeds 3]

Prints a table of attacks, ends with one line `RESULT {json}`, and exits with 1 when an attack on the system as it is
refutes what the ledger claims, when something that is broken is not caught, or when a benchmark misses its aim. With
the same seed, attacks within this process give the same figures; those on workers and agents do not.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from tests.privacy import figures
from tests.privacy.seeded import seeded
from tests.privacy.trials import Trial, trials

console = Console(highlight=False, width=130)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.privacy", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tables", type=int, default=20, help="other tables that the honest training is attacked with")
    parser.add_argument("--histories", type=int, default=100, help="random ones that the ledger is compared on")
    parser.add_argument("--auc-seeds", type=int, default=3, help="runs for each epsilon on the real table; 0: none")
    given = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)
    began = time.monotonic()
    admission, in_time = figures.finished(figures.started("admission"))  # alone: it measures time
    error = figures.started("ledger_error", str(given.histories))
    with seeded(given.seed):
        found = list(_told(given.tables))
    ledger, exact = figures.finished(error)
    auc = figures.auc(given.auc_seeds) if given.auc_seeds else None
    console.print(_table(found))
    console.print(
        f"Ledger against dp-accounting: off by at most {ledger.get('ledger_max_error')} over {given.histories}"
    )
    console.print(f"An admission decision after {admission.get('events'):,} events: {admission.get('decision_ms')} ms")
    console.print(f"AUC by epsilon: {auc[0].get('auc')}" if auc else "AUC by epsilon: not measured")
    result = _result(found) | {
        "ledger_max_error": ledger.get("ledger_max_error"),
        "ledger_histories": given.histories,
        "decision_ms": admission.get("decision_ms"),
        "auc": auc[0].get("auc") if auc else None,
        "auc_seeds": given.auc_seeds if auc else 0,
        "seed": given.seed,
        "seconds": round(time.monotonic() - began),
    }
    short = [f"{one.attack}: {one.what}" for one in found if not one.good]
    short += [name for name, met in (("decision time", in_time), ("ledger error", exact)) if not met]
    short += ["AUC"] if auc and not auc[1] else []
    if short:
        console.print(f"[bold red]Falls short:[/] {'; '.join(short)}")
    print("RESULT " + json.dumps(result))
    return 1 if short else 0


def _told(tables: int) -> Any:
    for trial in trials(tables):
        console.print(f"[dim]{trial.attack}: {trial.what}: {trial.told}[/]")
        yield trial


def _table(found: list[Trial]) -> Table:
    table = Table("attack", "on", "claimed", "proved", "told", "", title="Privacy, attacked", width=130)
    for broken in (False, True):
        table.add_section()
        table.add_row("[bold]broken on purpose[/]" if broken else "[bold]as it is[/]")
        for one in (trial for trial in found if trial.broken == broken):
            told = ("caught" if broken else "held") if one.good else ("[red]MISSED[/]" if broken else "[red]FAILED[/]")
            table.add_row(one.attack, one.what, _number(one.claimed), _number(one.empirical), one.told, told)
    return table


def _number(epsilon: float | None) -> str:
    return "" if epsilon is None else f"{epsilon:.2f}"


def _result(found: list[Trial]) -> dict[str, Any]:
    honest = [one for one in found if not one.broken and one.claimed is not None]
    broken = [one for one in found if one.broken]
    names = [f"{one.attack}, {one.what}{', worst table' if 'tables' in one.told else ''}" for one in honest]
    return {
        "empirical_epsilon": {n: round(one.empirical or 0, 3) for n, one in zip(names, honest, strict=True)},
        "claimed": {n: round(one.claimed or 0, 3) for n, one in zip(names, honest, strict=True)},
        "broken_variants": len(broken),
        "broken_variants_caught": sum(one.good for one in broken),
    }


if __name__ == "__main__":
    sys.exit(main())
