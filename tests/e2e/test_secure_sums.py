"""Secure sums over real agents and their sandboxes: three hospitals, any one of which may vanish at any step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from torch import nn

import researcher as wr
from datasites.wire import keys
from datasites.wire.secagg.messages import SecureRequest, decode_secure_reply
from policies.privacy import Event, SampledGaussian, SharedGaussian
from policies.privacy.accounting import epsilon
from researcher.rehearsal import rehearse
from researcher.secagg.post import Post
from tests.support.federation import PATIENCE, POLICY, Hospital, World, wait_for

CODE = """
import time
import numpy as np

def initialize(config):
    return {"w": np.linspace(-1, 1, 50, dtype=np.float32), "n": np.zeros((), np.int64)}

def fit(parameters, table, config):
    print(f"fit {config['round']}", flush=True)
    time.sleep(config.get("pause", 0))
    pull = np.float32(table["days"].mean()) + np.arange(50, dtype=np.float32)
    trained = {"w": parameters["w"] + (pull - parameters["w"]) / 4, "n": parameters["n"] + config["round"]}
    return trained, len(table), {"total": float(table["days"].mean())}

def evaluate(parameters, table, config):
    histogram = np.zeros((2, 10), np.int64)
    np.add.at(histogram, (table["readmitted"].to_numpy(), table["days"].to_numpy() % 10), 1)
    return len(table), {"mean_score": float(table["days"].mean()), "score_histogram": histogram}
"""
TABLES = "statistics_products = [9, 9]\n\n[release.tables]\nstatistics_counts = [9, 102]\n"
SECURE = (
    POLICY.read_text()
    .replace("secure_aggregation = false", "secure_aggregation = true")
    .replace('"numpy", "time"', '"numpy", "pandas", "time"')
    .replace("score_histogram = [2, 100]\n", "score_histogram = [2, 100]\nstatistics_sums = [9, 3]\n")
    .replace(
        "\n[approval]", "statistics_products = [9, 9]\n\n[release.tables]\nstatistics_counts = [9, 102]\n\n[approval]"
    )
)
STATISTICS = Path(__file__).parents[2] / "notebooks" / "readmission" / "statistics"
DELTA = 1e-6


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("secure"), sites=3)
    policy = tmp_path_factory.mktemp("policy") / "secure.toml"
    policy.write_text(SECURE)
    for hospital in world.hospitals:
        hospital.datasite.set_policy("stays", policy)
    try:
        yield world.open()
    finally:
        world.close()


def submitted(ward: World, folder: Path, rounds: int, **options: Any) -> wr.Submission:
    (folder / "study.py").write_text(CODE)
    study = ward.study(rounds, code=folder, secure_aggregation=True, **options)
    submission = ward.researcher.submit(study, rehearse(study, ward.researcher.datasets("stays")[:1]))
    for hospital in ward.hospitals:
        hospital.approve(submission)
    submission.wait(timeout=PATIENCE)
    return submission


def expected(state: dict[str, Any], hospitals: list[Hospital]) -> np.ndarray:
    """FedAvg of what `fit` makes of it."""
    pulls = [np.float32(h.table["days"].mean()) + np.arange(50, dtype=np.float32) for h in hospitals]
    trained = [state["w"] + (pull - state["w"]) / 4 for pull in pulls]
    return np.average(trained, axis=0, weights=[len(h.table) for h in hospitals])


def examples(result: wr.Result) -> list[float]:
    return result.hospitals["train_examples"].dropna().tolist()


@pytest.mark.slow
def test_the_sum_is_fedavg_and_all_that_anybody_sees(ward: World, tmp_path: Path) -> None:
    study = submitted(ward, tmp_path, rounds=2)
    packet = ward.hospitals[0].datasite.packet(study.manifest.job_name)
    assert "only the sum over at least 2 of 3 named hospitals can be read" in packet.summary
    assert ward.hospitals[1].datasite.fingerprint in packet.html()
    for wrong, says in (
        ({"strategy": wr.Median()}, "Median looks at them one by one"),
        ({"strategy": wr.FedAvg({"do@north.org": 1.0})}, "looks at them one by one"),
        ({"sample": 2}, "leave out sample"),
        ({"observer": wr.Watch()}, "leave out observer"),
    ):
        with pytest.raises(wr.InvalidInput, match=says):
            wr.Rounds(study, **wrong)
    with pytest.raises(wr.InvalidInput, match="only their sum"):
        wr.AsyncRounds(study, buffer=2)
    with pytest.raises(wr.InvalidInput, match="only their sum"):
        wr.Cyclic(study)

    result = wr.Rounds(study, deadline=PATIENCE).run()
    state = {"w": np.linspace(-1, 1, 50, dtype=np.float32)}
    for _ in range(2):
        state = {"w": expected(state, ward.hospitals).astype(np.float32)}
    np.testing.assert_allclose(result.parameters["w"], state["w"], atol=1e-5)
    assert result.parameters["n"] == 1 + 2
    rows = [len(h.table) for h in ward.hospitals]
    assert examples(result) == [sum(rows)] * 2
    days = [h.table["days"].mean() for h in ward.hospitals]
    assert result.hospitals["train_total"].dropna().iloc[0] == pytest.approx(np.average(days, weights=rows), abs=1e-5)
    assert result.history.histograms()[0].sum() == sum(rows)

    store, ada = ward.researcher.store, ward.researcher.identity
    raw = store.get(keys.round_up(study.digest, 3, ward.hospitals[0].email))
    public = ward.researcher.peers.require(ward.hospitals[0].email)
    reply, arrays = decode_secure_reply(ada.open(public, raw))
    assert reply.model_dump(exclude_defaults=True).keys() == {"study", "number", "hospital", "request"}
    high = arrays["masked"].view(np.uint64) >> np.uint64(40)  # of unmasked numbers, all bits here would be alike
    assert len(np.unique(high)) > 0.9 * len(high)


def killed_at(step: str, hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its agent is killed, for good, just before that step of the next sum; nobody waits for it for long."""
    ask, dead = Post.ask, set[str]()

    def asking(self: Post, requests: Mapping[str, SecureRequest], *more: Any) -> Iterator[Any]:
        waited = set(requests)
        if any(request.step == step for request in requests.values()):
            hospital.kill()
            dead.add(hospital.email)
        waited -= dead
        for found in ask(self, requests, *more):
            waited.discard(found[0])
            yield found
            if not waited:
                return

    monkeypatch.setattr(Post, "ask", asking)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["numbers", "agree"])
def test_a_hospital_that_is_killed_in_a_sum_is_left_out_or_added_whole(
    ward: World, tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward.all_serve()
    study = submitted(ward, tmp_path, rounds=1)
    victim, others = ward.hospitals[2], ward.hospitals[:2]
    killed_at(step, victim, monkeypatch)
    result = wr.Rounds(study, evaluate=False, deadline=PATIENCE).run()
    there = ward.hospitals if step == "agree" else others
    assert examples(result) == [sum(len(h.table) for h in there)]
    start = {"w": np.linspace(-1, 1, 50, dtype=np.float32)}
    np.testing.assert_allclose(result.parameters["w"], expected(start, there), atol=1e-5)


@pytest.mark.slow
def test_a_hospital_that_comes_back_has_left_the_sum_and_takes_part_in_the_next(
    ward: World, tmp_path: Path, background
) -> None:
    ward.all_serve()
    study = submitted(ward, tmp_path, rounds=2, config={"pause": 1.0})
    victim = ward.hospitals[2]
    rounds = wr.Rounds(study, evaluate=False, deadline=PATIENCE)
    running = background(rounds.run, 1)
    wait_for(lambda: "fit 1" in victim.study_log(study), "the first round to run")
    victim.kill()
    victim.start()
    result = running.result(PATIENCE)
    assert examples(result) == [sum(len(h.table) for h in ward.hospitals[:2])]
    assert [a.outcome for a in victim.datasite.state.answers(study.digest)][-1] == "secure"
    assert examples(rounds.run(1))[-1] == sum(len(h.table) for h in ward.hospitals)


def approved(ward: World, asked: Any) -> wr.Submission:
    submission = ward.researcher.submit(asked, ward.researcher.rehearse(asked))
    for hospital in ward.hospitals:
        hospital.approve(submission)
    submission.wait(timeout=PATIENCE)
    return submission


def under(ward: World, folder: Path, *changes: tuple[str, str]) -> None:
    text = SECURE
    for before, after in changes:
        text = text.replace(before, after)
    (folder / "policy.toml").write_text(text)
    for hospital in ward.hospitals:
        hospital.datasite.set_policy("stays", folder / "policy.toml")


def charged(hospital: Hospital, study: wr.Submission) -> list[Event]:
    return list(hospital.datasite.state.ledger.spent("stays", study=study.digest))


@pytest.mark.slow
def test_statistics_of_all_patients_and_of_no_hospital(ward: World, tmp_path: Path) -> None:
    ward.all_serve()
    under(ward, tmp_path, ("min_cohort = 1", "min_cohort = 5"))
    columns = ["days", "readmitted"]
    dictionary = ward.researcher.datasets("stays")[0].dictionary
    config = wr.statistics_config(dictionary, columns, bins=9, least=5, secure_aggregation=True)
    asked = wr.Study("who", "Test", STATISTICS, "stays", 1, config, columns=columns, secure_aggregation=True)
    study = approved(ward, asked)
    packet = ward.hospitals[0].datasite.packet(study.manifest.job_name)
    assert "adds nothing to the sum of statistics_counts" in packet.html()
    found = wr.statistics(study)
    each = [hospital.table.drop_duplicates("patient_id") for hospital in ward.hospitals]
    everybody = pd.concat(each)
    table = found.table_one()
    assert list(table.columns) == ["overall"]
    assert table.loc[("patients", "n"), "overall"] == str(len(everybody))
    moments = found.moments("days").loc["overall"]
    assert moments["mean"] == pytest.approx(everybody["days"].mean(), abs=1e-4)
    assert moments["sd"] == pytest.approx(everybody["days"].std(), abs=1e-4)
    cells = np.stack([np.bincount((one["days"] - 1) // 10, minlength=9) for one in each])
    told = found.histogram("days")["overall"]
    whole = ((cells == 0) | (cells >= 5)).all(axis=0)
    assert told[~whole].isna().all()
    assert (told.dropna() == cells.sum(axis=0)[told.notna()]).all()
    median = found.quantile("days", 0.5).loc["overall"]
    assert median["low"] <= everybody["days"].median() <= median["high"] + 1
    with pytest.raises(wr.InvalidInput, match="has not answered"):
        found.correlation("north")
    answered = [len(hospital.datasite.state.answers(study.digest)) for hospital in ward.hospitals]
    assert wr.statistics(study).table_one().equals(table)  # nobody is asked twice
    assert [len(hospital.datasite.state.answers(study.digest)) for hospital in ward.hospitals] == answered


@pytest.mark.slow
def test_noise_is_shared_where_owners_say_so_and_charged_as_that(ward: World, tmp_path: Path) -> None:
    """Of a private study: its training has each hospital's whole noise, its test a share of it."""
    ward.all_serve()
    under(ward, tmp_path)
    asked = wr.PrivateStudy(
        name="shared-noise",
        purpose="Test",
        dataset="stays",
        model=nn.Linear(1, 1),
        inputs=["days"],
        target="readmitted",
        rounds=1,
        steps=2,
        sampling_rate=0.5,
        expected_lot=10.0,
        optimizer=wr.Optimizer(learning_rate=0.1),
        noise_multiplier=6.0,
        evaluation_noise=8.0,
        secure_aggregation={"honest": 3},
    )
    study = ward.researcher.submit(asked, ward.researcher.rehearse(asked))
    first, allowing = ward.hospitals[0], ("[budget]", "[budget]\ncolluding_hospitals = 0")
    first.wait_for_submission(study)
    with pytest.raises(wr.Refused, match="the policy wants this hospital's own to be enough"):
        first.datasite.approve(study.manifest.job_name)
    under(ward, tmp_path, allowing)
    packet = first.datasite.packet(study.manifest.job_name)
    assert "at least 3 honest of 3" in packet.summary
    assert f"epsilon {asked.cost().epsilon:.3g}" in packet.summary
    for hospital in ward.hospitals:
        hospital.approve(study)
    study.wait(timeout=PATIENCE)
    under(ward, tmp_path)  # an owner who takes it back is heard, and pays nothing
    with pytest.raises(wr.RoundFailed, match="policy"):
        wr.Rounds(study, deadline=PATIENCE).run()
    assert [charged(hospital, study) for hospital in ward.hospitals] == [[], [], []]
    under(ward, tmp_path, allowing)
    scores = wr.PrivateScores.of(wr.Rounds(study, deadline=PATIENCE).run())
    for hospital in ward.hospitals:
        assert set(charged(hospital, study)) == {SampledGaussian(6.0, 0.5, 2), SharedGaussian(8.0, 3, 3)}
        assert epsilon(charged(hospital, study), DELTA) == pytest.approx(asked.cost().epsilon)
    assert scores.noise == pytest.approx(8.0 * (3 / 2) ** 0.5)  # two of three must stay; all three added a half
    there = sum(hospital.table["patient_id"].nunique() for hospital in ward.hospitals)
    assert abs(scores.counts.sum() - there / 5) < 6 * scores.noise * scores.counts.size**0.5 + there / 5
