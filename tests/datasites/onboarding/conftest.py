from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from datasites.onboarding import consortium
from datasites.onboarding.invitation import Invitation

ROOT = b"the consortium's passphrase"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A consortium of two hospitals and a researcher."""
    made = tmp_path_factory.mktemp("consortium") / "c"
    hospitals = {"north": "do@north.org", "south": "do@south.org"}
    consortium.init(made, "Readmission", "store.example.org", 9443, hospitals, {"ada": "ada@uni.org"}, ROOT)
    return made


@pytest.fixture(scope="session")
def invite(folder: Path) -> Callable[[str], Invitation]:
    return lambda label: consortium.invite(folder, label, ROOT)
