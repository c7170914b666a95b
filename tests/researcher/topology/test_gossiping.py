"""What the researcher's side of training without a centre makes of graphs, of a simulation, and of reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import researcher as wr
from datasites.wire.dictionary import Dictionary
from datasites.wire.gossip.messages import Report, encode_report
from datasites.wire.manifest import Manifest
from datasites.wire.outputs import ArraySpec, OutputContract
from datasites.wire.rounds import EvaluateReport, FitReport
from researcher.topology.reports import Reports
from tests.researcher.topology.conftest import TABLES
from tests.support.federation import DICTIONARY

KEYS = {f"do@{name}.org": " ".join([f"{i:04x}"] * 8) for i, name in enumerate(("east", "north", "south", "west"))}
PULLING = Path(__file__).parents[2] / "support" / "pulling"


def label(hospital: str) -> str:
    return hospital.removeprefix("do@").removesuffix(".org")


def links(graph: Any) -> set[str]:
    network = wr.Neighbours(graph).network(KEYS, label)
    return {f"{label(one)}-{label(other)}" for one, other in network.links}


def test_the_manifest_names_the_links_of_every_graph() -> None:
    ring = {"east-north", "north-south", "south-west", "east-west"}
    assert links("ring") == links(wr.Ring()) == ring
    assert links("exponential") == ring | {"east-south", "north-west"}
    chain = {"east-west", "north-west", "north-south"}
    assert links([("west", "east"), ("south", "north"), ("north", "west")]) == chain
    assert links({"west": ["east", "north"], "south": ["north"]}) == chain


@pytest.mark.parametrize(
    ("graph", "says"),
    [
        ("star", "There is no graph 'star'"),
        ([("east", "north"), ("north", "south")], "west is not in the graph"),
        ([("east", "north"), ("south", "west")], "no way leads from east, north to south, west"),
        ([("east", "north"), ("north", "south"), ("south", "west"), ("west", "far")], "names far, which shows no such"),
    ],
)
def test_a_graph_that_cannot_be_used_is_refused(graph: Any, says: str) -> None:
    with pytest.raises(wr.InvalidInput, match=says):
        links(graph)


def test_deadlines_that_make_no_sense_are_refused() -> None:
    with pytest.raises(wr.InvalidInput, match="greater than or equal to 1"):
        wr.Neighbours(deadline=0).network(KEYS, label)


def test_a_simulation_gives_what_coordinated_gossip_gives() -> None:
    places = {"places": {"1": 1.0, "2": 2.0, "3": 3.0, "4": 6.0}}
    dictionary = Dictionary.load(DICTIONARY)
    plain = wr.Study("topologies", "Test", PULLING, "stays", 3, places)
    with wr.Simulation(plain, TABLES, dictionary, processes=1) as simulated:
        with pytest.raises(wr.InvalidInput, match="This study has a centre"):
            wr.Gossiping(simulated)
        expected = wr.Gossip(simulated, wr.Ring()).run()
    study = wr.Study("topologies", "Test", PULLING, "stays", 3, places, gossip=wr.Neighbours("ring"))
    result = wr.simulate(study, TABLES, dictionary, processes=1)
    assert isinstance(result, wr.GossipResult)
    for name, model in expected.models.items():
        assert model["w"].tobytes() == result.models[name]["w"].tobytes()


def manifest() -> Manifest:
    contract = OutputContract(
        parameters={"w": ArraySpec(shape=(2,), dtype="float64")},
        fit_metrics=("total",),
        evaluate_metrics=("mean_score",),
        evaluate_arrays={},
    )
    network = wr.Neighbours("ring", report_every=1).network(KEYS, label)
    study = wr.Study("reports", "Test", PULLING, "stays", 2)
    plain = study.manifest("ada@uni.org", Dictionary.load(DICTIONARY), contract)
    return Manifest.model_validate({**plain.model_dump(mode="json"), "gossip": network.model_dump(mode="json")})


def told(reports: Reports, asked: Manifest, hospital: str, number: int, w: float, **more: Any) -> None:
    last = number > asked.rounds
    report = Report(
        study=asked.digest,
        hospital=hospital,
        number=number,
        last=last,
        after=number - 1,
        heard=(),
        fit=None if last else FitReport(num_examples=5, metrics=more.get("metrics", {"total": 1.0})),
        evaluate=EvaluateReport(num_examples=5, metrics={"mean_score": w}),
    )
    reports.add(report, encode_report(report, more.get("model", {"w": np.full(2, w)}), {}))


def test_reports_become_a_history_and_a_bad_one_spoils_nothing(tmp_path: Path) -> None:
    asked, (one, other, third, _) = manifest(), KEYS
    reports = Reports(tmp_path, asked)
    for number, values in ((2, (0.0, 2.0)), (3, (0.5, 1.5))):
        for hospital, value in zip((one, other), values, strict=True):
            told(reports, asked, hospital, number, value)
    told(reports, asked, third, 2, 9.0, model={"w": np.full(3, 9.0)})
    told(reports, asked, third, 3, 9.0, model={"w": np.full(2, np.nan)})

    again = Reports(tmp_path, asked)  # as after a restart
    assert sorted(again.models()) == [one, other]
    history = again.history(label)
    assert history.consensus().to_dict() == {1: pytest.approx(np.sqrt(2)), 2: pytest.approx(np.sqrt(0.5))}
    assert history.per_hospital("mean_score").to_dict() == {"east": 0.5, "north": 1.5}
    problems = history.hospitals().set_index("hospital")["problem"]
    assert "float64(3,), not float64(2,)" in problems["south"].iloc[0]
    assert "holds NaN or infinity" in problems["south"].iloc[1]
    assert again.is_over(one)
    assert history.traffic(asked.outputs) == (3 * 16, 4 * 16)
