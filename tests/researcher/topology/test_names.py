from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import researcher as wr
from datasites.wire.outputs import ArraySpec
from tests.researcher.topology.conftest import Simulated

TOPOLOGIES: list[Callable[[Any], wr.Rounds]] = [
    wr.Gossip,
    wr.Cyclic,
    lambda study: wr.Hierarchical(study, {"all": ["east", "north", "south", "west"]}),
]


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_a_study_of_scaffold_is_for_its_own_server_alone(
    counting: Simulated, topology: Callable[[Any], wr.Rounds]
) -> None:
    with counting() as simulated:
        outputs = simulated.manifest.outputs
        control = {"control/b": ArraySpec(shape=(), dtype="float64")}
        outputs = outputs.model_copy(update={"parameters": {**outputs.parameters, **control}})
        simulated.manifest = simulated.manifest.model_copy(update={"outputs": outputs})
        with pytest.raises(wr.InvalidInput, match="made for SCAFFOLD"):
            topology(simulated)


@pytest.mark.parametrize(
    "names", [["east", "north", "south", "west"], ["east", "north@simulation.example", "south", "west"]]
)
def test_hospitals_are_called_by_short_name_or_address(counting: Simulated, names: list[str]) -> None:
    with counting(1) as simulated:
        result = wr.Cyclic(simulated, names, evaluate=False).run()
    assert result.hospitals["hospital"].tolist() == ["east", "north", "south", "west"]
