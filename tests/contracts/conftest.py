from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.front import Front, serve_front
from tests.support.s3 import S3, serve_s3


@dataclass(frozen=True)
class Place:
    """An address of an empty store, and what opens it."""

    url: str
    options: dict[str, Any]


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with serve_s3(tmp_path_factory.mktemp("s3") / "root") as server:
        yield server


@pytest.fixture(scope="session")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A store that asks for client certificates and holds each to its own prefixes."""
    with serve_front(tmp_path_factory.mktemp("front")) as served:
        served.made["north"] = served.certificate("do@north.org")
        yield served


@pytest.fixture(params=["folder", "memory", "s3", "certified"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A fresh place for objects, of every kind."""
    if request.param == "folder":
        return Place(f"file://{tmp_path}/store", {})
    if request.param == "memory":
        return Place(f"memory:///{uuid.uuid4().hex}", {})
    if request.param == "certified":
        front: Front = request.getfixturevalue("front")
        return Place(f"{front.url}/own/do@north.org/{uuid.uuid4().hex}", front.options(front.made["north"]))
    server: S3 = request.getfixturevalue("s3")
    return Place(f"{server.url}/{uuid.uuid4().hex}", server.options)
