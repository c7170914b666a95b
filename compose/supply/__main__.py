"""`make supply`: what the images hold, under which licences, with which known holes, and whether the wheel can be
compared. Bills of materials are written to supply/.

RESULT: `packages`; `licences_to_read` and `vulnerable`, names of packages; `not_audited`, how many packages the index
said nothing about; `wheel`, the SHA-256 of the wheel, or null where two builds differ.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compose.lock import TORCH, locks
from compose.supply import bom
from compose.supply.licences import licences
from compose.supply.vulnerabilities import audit
from compose.supply.wheel import built_twice

OUT = Path("supply")


def main() -> int:
    """Returns the exit status: 1 where a licence is to be read, a package has a known hole, or wheels differ."""
    console, locked = Console(width=110), locks()
    whole = bom.installed()
    OUT.mkdir(exist_ok=True)
    for image, files in {"datasite": (TORCH, "datasite"), "researcher": (TORCH, "datasite", "researcher")}.items():
        part = bom.only(whole, (name for file in files for name in locked[file]))
        (OUT / f"{image}.cdx.json").write_text(json.dumps(part, indent=1) + "\n")
        console.print(f"{OUT / f'{image}.cdx.json'}: {len(part['components'])} packages")
    packages = {name: version for file in locked.values() for name, version in file.items()}
    stated = list(licences(bom.only(whole, packages)))
    table = Table("licence", "packages", title="Licences")
    for words, number in Counter(one.stated for one in stated).most_common():
        table.add_row(escape(words), str(number))
    console.print(table)
    to_read = [one for one in stated if one.open]
    for one in to_read:
        console.print(f"[bold]To be read by a person[/]: {one.package} {one.version}: {escape(', '.join(one.open))}")
    audited = audit(packages)
    for name, version, hole in audited.found:
        console.print(f"[bold red]Known hole[/]: {name} {version}: {hole}")
    if audited.unknown:
        console.print(f"Not audited, as the index told nothing of them: {len(audited.unknown)} packages.")
    first, second = built_twice()
    console.print(f"Wheel: {first}" if first == second else f"[bold red]Wheels differ[/]: {first} {second}")
    result = {
        "packages": len(packages),
        "licences_to_read": [one.package for one in to_read],
        "vulnerable": sorted({name for name, _, _ in audited.found}),
        "not_audited": len(audited.unknown),
        "wheel": first if first == second else None,
    }
    print("RESULT " + json.dumps(result))
    return 1 if to_read or audited.found or first != second else 0


if __name__ == "__main__":
    sys.exit(main())
