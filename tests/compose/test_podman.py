"""The datasite's image as compose.yaml runs it. `make e2e` tries all containers together."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from compose.containers import FILE

_IMAGE = "localhost/wardround-datasite"


@pytest.fixture(scope="module")
def podman() -> str:
    program = shutil.which("podman")
    if program is None:
        pytest.skip("podman is not installed (apt-get install podman)")
    if subprocess.run([program, "image", "exists", _IMAGE], capture_output=True).returncode:
        pytest.skip(f"there is no image {_IMAGE} (make images)")
    return program


def run(podman: str, unmasked: bool, *command: str) -> subprocess.CompletedProcess[str]:
    service: dict[str, Any] = yaml.safe_load(FILE.read_text())["services"]["academic-centre"]
    options = [f"--user={service['user'].split('-')[1].split('}')[0]}", "--network=none", "--env=HOME=/tmp"]
    options += ["--read-only"] * service["read_only"] + [f"--cap-drop={one}" for one in service["cap_drop"]]
    options += [f"--tmpfs={mount}" for mount in service["tmpfs"]] + [f"--hostname={service['hostname']}"]
    options += ["--security-opt=no-new-privileges", *(["--security-opt=unmask=ALL"] if unmasked else [])]
    program = ["--entrypoint", command[0], _IMAGE, *command[1:]]
    return subprocess.run([podman, "run", "--rm", *options, *program], capture_output=True, text=True)


def found(podman: str, unmasked: bool) -> dict[str, dict[str, Any]]:
    said = run(podman, unmasked, "wardround", "doctor", "--json")
    assert said.returncode == 0, said.stdout + said.stderr
    return {one["what"]: one for one in json.loads(said.stdout)["findings"]}


def test_studies_are_confined_in_the_container(podman: str) -> None:
    doctor = found(podman, unmasked=True)
    assert doctor["sandbox"]["found"].startswith("bubblewrap.")
    assert doctor["user"]["found"] == "an ordinary one (10001)"


def test_without_whole_system_paths_landlock_confines_them(podman: str) -> None:
    doctor = found(podman, unmasked=False)
    assert doctor["sandbox"]["found"].startswith("Landlock.")
    assert not doctor["bubblewrap"]["ok"]


def test_the_images_files_cannot_be_changed(podman: str) -> None:
    said = run(podman, True, "sh", "-c", "echo x > /opt/start/healthy.py")
    assert said.returncode
    assert "Read-only file system" in said.stderr
