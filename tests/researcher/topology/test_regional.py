"""Regional aggregators as participants of their own: real keys, envelopes and boxes on both tiers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import researcher as wr
from datasites.wire import keys
from datasites.wire.identity import Identity
from datasites.wire.manifest import Manifest
from datasites.wire.outputs import ArraySpec
from datasites.wire.reasons import Reason
from datasites.wire.rounds import RoundRequest, decode_reply, encode_request
from datasites.wire.store import Store
from researcher.topology.national import national
from tests.researcher.topology.conftest import Simulated
from tests.support.boxes import BoxHospital, RegionStudy, at_work, flat, serving

INITIAL = {"w": np.full(8, 0.3)}
NATION = "ada@uni.org"


@dataclass
class Tree:
    """Two regions of two hospitals, and their nation."""

    store: Store
    regions: list[RegionStudy]
    nation: wr.Nation

    @property
    def hospitals(self) -> list[BoxHospital]:
        return [hospital for region in self.regions for hospital in region.hospitals]

    def aggregator(self, region: RegionStudy, **options: Any) -> wr.RegionalAggregator:
        public = self.nation._identity.public
        return wr.RegionalAggregator(region, region.identity, self.store, public, **options)

    def serve(self, *regions: RegionStudy, **options: Any) -> list[Callable[[Callable[[], bool]], None]]:
        """Hospitals and aggregators of these regions, as parts of `at_work`."""
        return [part for region in regions for part in (serving(region), self.aggregator(region, **options).serve)]


@pytest.fixture
def manifest(pulling: Simulated) -> Manifest:
    with pulling(4) as simulated:
        return simulated.manifest


@pytest.fixture
def tree(tmp_path: Path, manifest: Manifest) -> Tree:
    store = Store(f"file://{tmp_path}/store")
    north = [BoxHospital(tmp_path, "a", 1.0, 100, store), BoxHospital(tmp_path, "b", 2.0, 57, store)]
    south = [BoxHospital(tmp_path, "c", 5.0, 31, store), BoxHospital(tmp_path, "d", -2.0, 500, store)]
    regions = [
        RegionStudy(tmp_path, name, manifest, INITIAL, hospitals, store)
        for name, hospitals in (("north", north), ("south", south))
    ]
    for region in regions:
        document = json.dumps(region.identity.public.document).encode()
        store.put(f"{keys.participant(region.email)}/bundle.json", document)
    file = tmp_path / "study.safetensors"
    wr.RegionalAggregator.write_study(regions[0], NATION, file)
    known = {region.email.split("@")[1].split(".")[0]: region for region in regions}
    addresses = {name: (region.email, region.identity.public.fingerprint) for name, region in known.items()}
    return Tree(store, regions, wr.Nation(file, NATION, store.url, addresses, home=tmp_path))


def test_the_nation_gets_what_flat_averaging_gives_and_sees_regions_alone(tree: Tree) -> None:
    with at_work(*tree.serve(*tree.regions)):
        wr.Rounds(tree.nation).run(rounds=1)
        result = wr.Rounds(tree.nation).run()
    assert result.parameters["w"] == pytest.approx(flat(tree.hospitals, INITIAL, 4), rel=1e-12)
    assert set(result.hospitals["hospital"]) == {"north", "south"}
    assert set(result.hospitals["train_examples"].dropna()) == {157, 531}
    for region in tree.regions:  # what its hospitals sent is for its aggregator alone
        sealed = _updates(tree.store, region)
        assert len(sealed) == 12  # two hospitals, four rounds and two last evaluations
        for hospital, envelope in sealed:
            region.identity.open(hospital.identity.public, envelope)
            others = [tree.nation._identity, *(one.identity for one in tree.regions if one is not region)]
            for other in others:
                with pytest.raises(wr.Refused):
                    other.open(hospital.identity.public, envelope)


def test_below_its_quorum_nothing_leaves_a_region(tree: Tree) -> None:
    tree.regions[0].hospitals[1].silent = True
    with (
        at_work(*tree.serve(*tree.regions, deadline=0.5)),
        pytest.raises(wr.RoundFailed, match=f"north: {Reason.QUORUM.text}"),
    ):
        wr.Rounds(tree.nation).run()
    key = keys.round_up(tree.nation.manifest.digest, 1, tree.regions[0].email)
    plaintext = tree.nation._identity.open(tree.regions[0].identity.public, tree.store.get(key) or b"")
    reply, parameters, metrics = decode_reply(plaintext)
    assert (reply.reason, reply.fit, reply.evaluate, parameters, metrics) == (Reason.QUORUM, None, None, {}, {})
    # the other region goes on with the nation alone, and the one that has its quorum again joins it
    tree.regions[0].hospitals[1].silent = False
    with at_work(*tree.serve(*tree.regions)):
        result = wr.Rounds(tree.nation).run()
    assert result.parameters["w"] == pytest.approx(flat(tree.hospitals, INITIAL, 4), rel=1e-12)


def test_a_region_too_small_for_its_quorum_asks_nobody(tree: Tree) -> None:
    with at_work(*tree.serve(*tree.regions, quorum=3)), pytest.raises(wr.RoundFailed, match=Reason.QUORUM.text):
        wr.Rounds(tree.nation).run()
    assert [hospital.trained for hospital in tree.hospitals] == [0] * 4


class Killed(BaseException):
    """In the place of `kill -9`."""


@pytest.mark.parametrize("line", ["_write", "_post"])
def test_an_aggregator_that_was_killed_gives_the_answer_it_would_have_given(
    tree: Tree, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    region = tree.regions[0]
    killed = tree.aggregator(region)

    def die(*given: object) -> None:
        if given or killed._answer[0]:  # not at the start, where there is nothing to be posted
            raise Killed

    monkeypatch.setattr(killed, line, die)

    def serve(stop: Callable[[], bool]) -> None:
        with pytest.raises(Killed):
            killed.serve(stop)
        if line == "_post":  # an answer that was written down is the region's, whoever is away by now
            region.hospitals[1].silent = True
            tree.store.delete(keys.round_up(region.manifest.digest, 1, region.hospitals[1].email))
        tree.aggregator(region, deadline=60).serve(stop)

    with at_work(serving(region), serve, *tree.serve(tree.regions[1])):
        result = wr.Rounds(tree.nation, evaluate=False).run(rounds=1)
    assert result.parameters["w"] == pytest.approx(flat(tree.hospitals, INITIAL, 1), rel=1e-12)
    assert [hospital.trained for hospital in tree.hospitals] == [1] * 4  # nobody trained twice


def test_only_the_nations_own_word_for_this_region_is_heeded(tree: Tree, tmp_path: Path) -> None:
    region, mallory = tree.regions[0], Identity.create("mallory@evil.org", tmp_path / "mallory.json")
    study, public = tree.nation.manifest.digest, region.identity.public

    def message(hospital: str, number: int, state: dict[str, np.ndarray] = INITIAL) -> bytes:
        request = RoundRequest(study=study, number=number, hospital=hospital, evaluate=False, fit=True)
        return encode_request(request, state)

    nation = tree.nation._identity
    bad = [
        mallory.seal(public, message(region.email, 7)),  # another's signature
        nation.seal(public, message(tree.regions[1].email, 7)),  # for another region
        nation.seal(public, message(region.email, 6)),  # for another round
        nation.seal(public, message(region.email, 7, {"w": np.zeros(9)})),  # another model
        nation.seal(mallory.public, message(region.email, 7)),  # for another reader
        b"rubbish",
    ]
    for envelope in bad:
        tree.store.put(keys.round_down(study, region.email, 7), envelope)
        aggregator = tree.aggregator(region, deadline=0.1)
        aggregator._answer = aggregator._read()
        aggregator._members.gather()
        assert not aggregator._step()
        assert not aggregator._step()
    assert not tree.store.names(f"rounds/{keys.encode(region.manifest.digest)}")  # nobody was asked
    assert not tree.store.names(keys.rounds_up(study, 7))
    # and behind the rubbish a true message is found
    with at_work(*tree.serve(*tree.regions)):
        assert wr.Rounds(tree.nation, evaluate=False).run(rounds=1).round == 1


def test_keys_and_studies_that_are_not_those_agreed_on_are_refused(tree: Tree, tmp_path: Path) -> None:
    file, email = tmp_path / "study.safetensors", tree.regions[0].email
    wrong = {"north": (email, tree.regions[1].identity.public.fingerprint)}
    with pytest.raises(wr.Refused, match="Telephone them first"):
        wr.Nation(file, NATION, tree.store.url, wrong, home=tmp_path)
    with pytest.raises(wr.InvalidInput, match="published no keys"):
        wr.Nation(file, NATION, tree.store.url, {"east": ("aggregator@east.org", "")}, home=tmp_path)
    with pytest.raises(wr.InvalidInput, match=r"made for ada@uni\.org"):
        wr.Nation(file, "eve@uni.org", tree.store.url, {}, home=tmp_path / "eve")
    file.write_bytes(b"{}")
    with pytest.raises(wr.InvalidInput, match="is not a study for a nation"):
        wr.Nation(file, NATION, tree.store.url, {}, home=tmp_path)


def test_what_a_region_could_not_add_up_is_refused(manifest: Manifest) -> None:
    arrays = {"per_ward": ArraySpec(shape=(3,), dtype="float64")}
    outputs = manifest.outputs.model_copy(update={"evaluate_arrays": arrays})
    with pytest.raises(wr.InvalidInput, match="models and score histograms only"):
        national(manifest.model_copy(update={"outputs": outputs}), NATION)


def _updates(store: Store, region: RegionStudy) -> list[tuple[BoxHospital, bytes]]:
    """What the region's hospitals sent up, still sealed."""
    by_email = {hospital.email: hospital for hospital in region.hospitals}
    prefix = f"rounds/{keys.encode(region.manifest.digest)}/up"
    return [(by_email[keys.last(key)], store.get(key) or b"") for key in store.names(prefix)]
