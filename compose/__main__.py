"""`python -m compose up|down|reset|doctor|revoke`: the composed federation, for `make`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time

from compose import containers, provision
from compose.containers import MONITORS, SERVICES, ContainersFailed
from datasites.onboarding import consortium
from policies.errors import WardroundError


def up(*, monitoring: bool = False) -> None:
    """Starts what does not run, and waits until all of it is healthy."""
    started, services = time.monotonic(), (*SERVICES, *(MONITORS if monitoring else ()))
    containers.compose("up", "-d", monitoring=monitoring)
    containers.wait_until_healthy(*services)
    port = os.environ.get("WARDROUND_JUPYTER_PORT", "8888")
    print(f"{len(services)} containers are healthy after {time.monotonic() - started:.0f} seconds.")
    print(f"The researcher's notebooks: http://127.0.0.1:{port}/lab/tree/notebooks/researcher.ipynb")
    print(f"The token to sign in stands in {provision.LOCAL / 'secrets/jupyter.token'}.")
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


def revoke(who: str) -> None:
    """Ends a participant's certificates (by label or address), at the running store too."""
    passphrase = (provision.LOCAL / "authority.passphrase").read_bytes()
    gone = consortium.revoke(provision.LOCAL / "consortium", who, passphrase)
    provision.hand_over(provision.LOCAL)
    containers.inside("store", "/bin/sh", "/srv/store/reload.sh")
    print(f"The store refuses {len(gone)} certificates of {who} from now on.")


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m compose", description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    starting = commands.add_parser("up", help=up.__doc__)
    starting.add_argument("--monitoring", action="store_true", help="with a Prometheus for each hospital")
    starting.set_defaults(do=lambda options: up(monitoring=options.monitoring))
    for name, command in {"down": down, "reset": reset, "doctor": doctor}.items():
        commands.add_parser(name, help=command.__doc__).set_defaults(do=lambda _, command=command: command())
    revoking = commands.add_parser("revoke", help=revoke.__doc__)
    revoking.add_argument("who", help="a participant's label or address")
    revoking.set_defaults(do=lambda options: revoke(options.who))
    options = parser.parse_args()
    try:
        options.do(options)
    except (ContainersFailed, WardroundError, FileNotFoundError) as problem:
        print(f"It did not work: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
