"""The crate against what RO-Crate 1.2 and the Five Safes profile 0.4 ask for, read by the library that others use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rocrate.rocrate import ROCrate

from datasites.audit.entry import Kind
from datasites.datasite import Datasite
from tests.support.recorded import PURPOSE
from tests.support.submissions import manifest

STUDY = manifest(purpose=PURPOSE)


@pytest.fixture(scope="module")
def graph(report: Path) -> dict[str, dict[str, Any]]:
    """The entities by their name."""
    content = json.loads((report / "ro-crate-metadata.json").read_text())
    assert content["@context"] == "https://w3id.org/ro/crate/1.2/context"
    names = [entity["@id"] for entity in content["@graph"]]
    assert len(names) == len(set(names))
    return {entity["@id"]: entity for entity in content["@graph"]}


def listed(value: Any) -> list[str]:
    return [one["@id"] for one in (value if isinstance(value, list) else [value])]


def test_another_library_reads_it(report: Path) -> None:
    crate = ROCrate(report)
    assert crate.root_dataset["conformsTo"].id == "https://w3id.org/5s-crate/0.4"
    assert crate.mainEntity.id == "study/"
    for file in crate.get_by_type("File"):
        assert (report / file.id).is_file()


def test_every_reference_has_its_entity(graph: dict[str, dict[str, Any]]) -> None:
    """But for terms of other vocabularies, which are addresses."""

    def references(value: Any) -> list[str]:
        if isinstance(value, list):
            return [name for one in value for name in references(one)]
        return [value["@id"]] if isinstance(value, dict) else []

    for entity in graph.values():
        assert entity["@type"]
        for name in (name for key, value in entity.items() if key[0] != "@" for name in references(value)):
            assert name in graph or name.startswith(("https://w3id.org/", "http://schema.org/")), (entity["@id"], name)


def test_the_root_says_what_the_profile_asks_for(graph: dict[str, dict[str, Any]]) -> None:
    root = graph["./"]
    assert root["name"]
    assert root["description"]
    assert root["datePublished"]
    assert graph[root["license"]["@id"]]["@type"] == "CreativeWork"
    project = graph[root["sourceOrganization"]["@id"]]
    assert (project["@type"], project["description"]) == ("Project", PURPOSE)
    assert graph[root["mainEntity"]["@id"]]["identifier"] == f"sha256:{STUDY.digest}"
    assert graph["ro-crate-metadata.json"]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.2"}
    assert {"study/", "study/manifest.json", "audit.jsonl", "report.html"} <= set(listed(root["hasPart"]))


def test_the_run_and_its_results(graph: dict[str, dict[str, Any]], site: Datasite) -> None:
    mentioned = [graph[name] for name in listed(graph["./"]["mentions"])]
    (run,) = [one for one in mentioned if one["@type"] == "CreateAction"]
    assert run["instrument"] == {"@id": "study/"}
    assert run["actionStatus"] == "http://schema.org/CompletedActionStatus"
    person = graph[run["agent"]["@id"]]
    assert (person["@type"], graph[person["affiliation"]["@id"]]["name"]) == ("Person", "The University")
    results = [graph[name] for name in listed(run["result"])]
    left = [entry for entry in site.state.audit.entries() if entry["kind"] == Kind.RELEASED]
    assert [one["identifier"] for one in results] == [f"sha256:{entry['reply']}" for entry in left]
    for one in results:
        permission = graph[one["hasDigitalDocumentPermission"]["@id"]]
        assert graph[permission["grantee"]["@id"]]["@type"] == "Project"
    table = graph[listed(run["object"])[0]]
    assert [graph[name]["name"] for name in listed(table["variableMeasured"])] == list(STUDY.columns)


def test_the_assessments(graph: dict[str, dict[str, Any]]) -> None:
    found = {one["additionalType"]["@id"]: one for one in graph.values() if one["@type"] == "AssessAction"}
    assert set(found) == {f"https://w3id.org/shp#{kind}" for kind in ("CheckValue", "SignOff", "DisclosureCheck")}
    for one in found.values():
        assert one["actionStatus"] == "http://schema.org/CompletedActionStatus"
        assert "./" in listed(one["object"])
        assert one["endTime"].endswith("+00:00")
        assert one["name"]
        agent = graph[one["agent"]["@id"]]
        if agent["@type"] == "SoftwareApplication":
            assert graph[agent["provider"]["@id"]]["@type"] == "Organization"
    sign_off = found["https://w3id.org/shp#SignOff"]
    assert {"study/", "#project"} <= set(listed(sign_off["object"]))
    assert graph[sign_off["instrument"]["@id"]]["@type"] == "CreativeWork"


def test_the_privacy_spent(graph: dict[str, dict[str, Any]], site: Datasite) -> None:
    budget = site.budget("stays")
    assert graph["#epsilon-study"]["value"] == round(budget.studies[0].epsilon, 6) > 0
    assert graph["#epsilon-table"]["value"] == round(budget.total.epsilon, 6)
