"""The composed federation as a whole: start it, look at its health, stop it; and single containers by name."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

from compose.images import engine
from compose.provision import HOSPITALS

HERE = Path(__file__).parent
FILE = HERE / "compose.yaml"
SERVICES = ("store", *HOSPITALS, "researcher")
MONITORS = tuple(f"{hospital}-prometheus" for hospital in HOSPITALS)  # of the profile `monitoring`
_PATIENCE_SECONDS = 600.0  # on a machine that is busy with other things


class ContainersFailed(Exception):
    """Something that containers should do did not come about; the text says what, and where to look."""


def container(service: str) -> str:
    """The name of a service's container."""
    return f"wardround-{service}"


def compose(*arguments: str, monitoring: bool = True) -> None:
    """Runs Docker Compose, or podman-compose where the engine is podman. Raises ContainersFailed.

    monitoring: with the hospitals' Prometheus; what takes things away leaves none of them.
    """
    beside = Path(sys.executable).parent / "podman-compose"
    if engine() == "docker":
        program = ["docker", "compose"]
    elif beside.exists() or shutil.which("podman-compose"):
        program = [str(beside) if beside.exists() else "podman-compose"]
    else:
        raise ContainersFailed("podman-compose is not installed: pip install podman-compose.")
    # podman without root: the account of this user is the same one within and without
    rootless = {"PODMAN_USERNS": "keep-id"} if os.getuid() and engine() == "podman" else {}
    done = subprocess.run(
        [*program, "-f", str(FILE), *arguments],
        env={**os.environ, **rootless, "COMPOSE_PROFILES": "monitoring" if monitoring else ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise ContainersFailed(f"`{program[-1]} {arguments[0]}` failed:\n{done.stdout.strip()[-3000:]}")


def inside(service: str, *command: str, check: bool = True) -> str:
    """What a command says that is run in a service's container. Raises ContainersFailed where it fails."""
    done = subprocess.run([engine(), "exec", container(service), *command], capture_output=True, text=True)
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise ContainersFailed(f"{service}: `{' '.join(command[:3])}` failed with status {done.returncode}: {said}")
    return done.stdout


def copied(service: str, folder: str, to: Path) -> Path:
    """A folder of a container's, copied to `to`. Its root file system may be one that the engine cannot copy from."""
    packed = subprocess.run([engine(), "exec", container(service), "tar", "-C", folder, "-c", "."], capture_output=True)
    if packed.returncode:
        raise ContainersFailed(f"{service}: {folder} could not be copied: {packed.stderr.decode().strip()[-2000:]}")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(to, filter="data")
    return to


def problem(service: str) -> str:
    """What keeps a service from being healthy; empty where nothing does. Asked by its own health check."""
    role = "prometheus" if service in MONITORS else "datasite" if service in HOSPITALS else service
    check = ["python3", "-I", "/opt/start/healthy.py", role]
    done = subprocess.run([engine(), "exec", container(service), *check], capture_output=True, text=True)
    said = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return "" if done.returncode == 0 else (said or ["it does not run"])[-1]


def wait_until_healthy(*services: str, seconds: float = _PATIENCE_SECONDS) -> None:
    """Raises ContainersFailed, naming those that did not get so, with the end of their logs."""
    waiting, until = list(services or SERVICES), time.monotonic() + seconds
    while waiting := [service for service in waiting if problem(service)]:
        if time.monotonic() > until:
            raise ContainersFailed("\n".join(f"{one}: {problem(one)}\n{log(one)}" for one in waiting))
        time.sleep(1)


def log(service: str, lines: int = 20) -> str:
    """The end of what a container printed."""
    done = subprocess.run(
        [engine(), "logs", "--tail", str(lines), container(service)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.stdout.strip()


def stored() -> list[str]:
    """Names of the volumes that are there, of containers that run or have run."""
    said = subprocess.run([engine(), "volume", "ls", "--quiet"], capture_output=True, text=True)
    return [name for name in said.stdout.split() if name.startswith("wardround_")]


def running(service: str) -> bool:
    """Whether its container runs."""
    said = subprocess.run(
        [engine(), "inspect", "--format", "{{.State.Running}}", container(service)], capture_output=True, text=True
    )
    return said.stdout.strip() == "true"


def kill(service: str) -> None:
    """As a power cut would."""
    subprocess.run([engine(), "kill", "--signal", "KILL", container(service)], capture_output=True, check=True)
    wait_for(lambda: not running(service), f"{service} did not end")


def start(service: str) -> None:
    """Starts a container that has ended."""
    subprocess.run([engine(), "start", container(service)], capture_output=True, check=True)


def wait_for(come: Callable[[], object], otherwise: str, seconds: float = _PATIENCE_SECONDS) -> None:
    """Raises ContainersFailed, saying `otherwise`, when it has not come after so long."""
    until = time.monotonic() + seconds
    while not come():
        if time.monotonic() > until:
            raise ContainersFailed(otherwise)
        time.sleep(1)  # each look starts a process in a container
