"""Whether the containers are as closed as compose.yaml says, tried from inside."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

from compose.containers import MONITORS, SERVICES, container, inside
from compose.images import engine
from compose.provision import HOSPITALS, STORE_HOST, STORE_PORT

_OUTSIDE = "1.1.1.1"
_SELF = """
import json, os
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
def writable(folder):
    try:
        open(folder + "/.probe", "w").close()
    except OSError:
        return False
    os.unlink(folder + "/.probe")
    return True
print(json.dumps({
    "user": os.getuid(),
    "capabilities": int(status["CapEff"], 16) | int(status["CapBnd"], 16),
    "no_new_privileges": status["NoNewPrivs"] == "1",
    "writable": [folder for folder in ("/", "/opt", "/etc", "/usr") if writable(folder)],
}))
"""
_KNOCK = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()
    print("connected")
except TimeoutError:
    print("no answer")
except OSError as error:
    print(error.strerror)
"""


def findings() -> Iterator[tuple[str, str, bool]]:
    """(what was tried, what came of it, whether it is as it should be), one after the other."""
    for service in (*SERVICES, *MONITORS):
        yield _confined(service)
    addresses = {hospital: address(hospital) for hospital in HOSPITALS}
    for hospital in HOSPITALS:
        at_store = knock(hospital, STORE_HOST, STORE_PORT)
        yield f"{hospital} reaches the store", at_store, at_store == "connected"
        others = {knock(hospital, at, 22) for other, at in addresses.items() if other != hospital}
        # refused would mean that its machine answered
        yield (
            f"{hospital} reaches another hospital",
            ", ".join(others),
            others <= {"Network is unreachable", "no answer"},
        )
        out = knock(hospital, _OUTSIDE, 443)
        yield f"{hospital} reaches the internet", out, out in ("Network is unreachable", "no answer")
        sandbox = _sandbox(hospital)
        yield f"{hospital} confines studies", sandbox, sandbox in ("bubblewrap", "Landlock")
    published = {service: _ports(service) for service in (*SERVICES, *MONITORS)}
    only = {service: ports for service, ports in published.items() if ports}
    yield "published ports", json.dumps(only), set(only) == {"researcher"} and "0.0.0.0" not in str(only)  # noqa: S104


def _confined(service: str) -> tuple[str, str, bool]:
    about = json.loads(inside(service, "python3", "-I", "-c", _SELF))
    good = about["user"] > 0 and about["capabilities"] == 0
    good = good and about["no_new_privileges"] and not about["writable"]
    written = ", ".join(about["writable"]) or "nothing"
    said = f"user {about['user']}, capabilities {about['capabilities']:x}, can write to {written} of the image"
    return f"{service} is confined", said, good


def knock(service: str, host: str, port: int) -> str:
    """What comes of a connection from a service's container."""
    return inside(service, "python3", "-I", "-c", _KNOCK, host, str(port)).strip()


def _sandbox(hospital: str) -> str:
    said = json.loads(inside(hospital, "wardround", "doctor", "--json", check=False))
    return next(str(one["found"]) for one in said["findings"] if one["what"] == "sandbox").split(".")[0]


def address(service: str) -> str:
    """Of its container, in its first network."""
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
    said = subprocess.run(
        [engine(), "inspect", "--format", form, container(service)], capture_output=True, text=True, check=True
    )
    return said.stdout.split()[0]


def _ports(service: str) -> str:
    said = subprocess.run([engine(), "port", container(service)], capture_output=True, text=True)
    return said.stdout.strip()
