from __future__ import annotations

from typing import Any

import pytest

import researcher as wr
from datasites.wire.dictionary import Dictionary
from tests.support.federation import DICTIONARY, STUDY, stays


@pytest.fixture(scope="session")
def dictionary() -> Dictionary:
    return Dictionary.load(DICTIONARY)


@pytest.fixture
def tables() -> dict[str, Any]:
    """By hospital; each one's site is its place in the alphabet."""
    return {name: stays(site, 20 * site + 10) for site, name in enumerate(("east", "north", "south"), 1)}


@pytest.fixture
def counting() -> Any:
    def study(rounds: int = 3, **config: Any) -> wr.Study:
        return wr.Study("counting", "Test", STUDY, "stays", rounds, config)

    return study
