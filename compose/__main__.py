"""`python -m compose up|down|reset|doctor`: the composed federation, for `make`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time

from compose import containers, provision
from compose.containers import SERVICES, ContainersFailed


def up() -> None:
    """Starts what does not run, and waits until all of it is healthy."""
    started = time.monotonic()
    containers.compose("up", "-d")
    containers.wait_until_healthy()
    port = os.environ.get("WARDROUND_JUPYTER_PORT", "8888")
    print(f"{len(SERVICES)} containers are healthy after {time.monotonic() - started:.0f} seconds.")
    print(f"The researcher's notebooks: http://127.0.0.1:{port}/lab/tree/notebooks/researcher.ipynb")
    print(f"The token to sign in stands in {provision.LOCAL / 'jupyter.token'}.")
    print("A data owner's commands: podman exec -it wardround-academic-centre wardround datasite requests")


def down() -> None:
    """Stops and removes the containers; what they have stored stays."""
    containers.compose("down")


def reset() -> None:
    """Removes all: containers, what they have stored, and the keys and tables in local/."""
    containers.compose("down", "-v")
    shutil.rmtree(provision.LOCAL, ignore_errors=True)


def doctor() -> None:
    """What each hospital's container can confine studies with."""
    for hospital in provision.HOSPITALS:
        print(f"{hospital}:\n{containers.inside(hospital, 'wardround', 'doctor', check=False)}")


def main() -> int:
    """Returns the exit status."""
    what = {"up": up, "down": down, "reset": reset, "doctor": doctor}
    parser = argparse.ArgumentParser(prog="python -m compose", description=__doc__)
    parser.add_argument("what", choices=what)
    try:
        what[parser.parse_args().what]()
    except ContainersFailed as problem:
        print(f"It did not work: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
