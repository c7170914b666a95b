"""`python -m notebooks.demo.federation`: the demo's hospitals, left serving for the notebooks until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from notebooks.demo.hospitals import DemoFailed, local_federation
from notebooks.demo.tables import write_tables
from policies.errors import WardroundError


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m notebooks.demo.federation", description=__doc__)
    parser.add_argument("--data", type=Path, default=None, help="the real UCI table (diabetic_data.csv.gz)")
    parser.add_argument("--sites", type=int, default=3, help="hospitals; 3, 5 or 20 with real data")
    parser.add_argument("--folder", type=Path, default=Path("demo-run"), help="where everything is written")
    options = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        tables = write_tables(options.folder / "tables", options.data, options.sites)
        with local_federation(options.folder, tables) as hospitals:
            for hospital in hospitals:
                print(f"{hospital.label}: datasite {hospital.home}, agent log {hospital.home / 'agent.log'}")
            print(f"READY {options.folder / 'federation.toml'} (Ctrl-C ends the hospitals)", flush=True)
            ended.wait()
    except (DemoFailed, WardroundError) as problem:
        print(f"The hospitals could not be started: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
