from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datasites.wire.arrays import pack
from policies.errors import InvalidInput
from researcher.journal import Checkpoint, Journal


def test_a_strategys_memory_is_kept_with_the_state_it_belongs_to(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.start({"w": np.zeros(2, np.float32)})
    assert (journal.checkpoint().strategy, journal.checkpoint().memory) == (None, {})
    strategy = {"name": "FedAvgM", "settings": {"momentum": 0.1}}
    after = Checkpoint(1, 1, False, {"w": np.ones(2, np.float32)}, strategy, {"momentum": np.array([0.1, 1 / 3])})
    journal.close_round(after, [{"message": 1}])
    found = Journal(tmp_path).checkpoint()
    assert found.parameters["w"].tolist() == [1, 1]
    assert found.parameters.keys() == {"w"}
    assert found.strategy == strategy
    assert found.memory["momentum"].tolist() == [0.1, 1 / 3]


def test_a_study_of_before_strategies_had_memory_goes_on(tmp_path: Path) -> None:
    header = {"round": 3, "messages": 4, "evaluated": False}
    (tmp_path / "state.safetensors").write_bytes(pack(header, {"w": np.ones(2)}))
    found = Journal(tmp_path).checkpoint()
    assert (found.round, found.messages, found.strategy, found.memory) == (3, 4, None, {})


def test_a_model_may_not_use_the_names_of_memory(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="'strategy:momentum'"):
        Journal(tmp_path).start({"strategy:momentum": np.zeros(2)})
