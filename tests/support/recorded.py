"""A hospital that has run a study, made by the product's own code, with patients' values planted everywhere."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from datasites.audit.entry import Kind
from datasites.audit.heads import OwnHeads
from datasites.catalog.registry import RegisteredTable, Registry
from datasites.catalog.tables import TableSource
from datasites.datasite import Datasite
from datasites.home import STUDY_LOG
from datasites.ledger.rows import Charge
from datasites.release.held import hold
from datasites.state import AnsweredRound, now
from datasites.wire import quarantine
from datasites.wire.dictionary import Dictionary
from datasites.wire.identity import Identity
from datasites.wire.manifest import Manifest
from datasites.wire.reasons import Reason
from datasites.wire.store import Store
from policies.privacy import Plan, SampledGaussian
from tests.support.federation import DICTIONARY, stays
from tests.support.submissions import deliver, hospital, manifest

PATIENT = "MRN-99417-QUIXOTE"  # a patient's number
SECRET = "days-were-8731"  # what a study's code printed, or put into a name
PLANTED = (PATIENT, SECRET, "QUIXOTE")
PURPOSE = "Plan follow-up calls after discharge"


def recorded(folder: Path, asked: Manifest | None = None) -> Datasite:
    """A study of Ada's that was approved, has sent two results, failed once, and left things behind at the hospital."""
    ada = Identity.create("ada@uni.org", folder / "ada.json")
    site = hospital(folder, ada)
    _plant(site, folder)
    study = asked or manifest(purpose=PURPOSE)
    deliver(site, study, ada)
    site.state.audit.record(Kind.PEER_ACCEPTED, peer=ada.email, fingerprint=ada.public.fingerprint)
    site.approve(study.digest, rounds=3, reason="The board agreed")
    for number in (1, 2):
        answer(site, study, number)
    answer(site, study, 3, Reason.CODE_ERROR)
    (site.home.study(study.digest) / STUDY_LOG).write_text(f"{PATIENT}: {SECRET}\nround 1 is over\n")
    site.release_excerpt(site.draft_excerpt(study.digest, 1, 2))
    why = f"metric {SECRET!r} is not among those that may leave"
    hold(site.home.held, study.digest, 3, "fit", PATIENT.encode(), Reason.OUTPUTS, (why,), now().isoformat())
    quarantine.put_aside(site.home.quarantine, ada.email, f"inbox/{PATIENT}", b"?", f"said {SECRET}")
    OwnHeads(site.identity, site.state.audit).publish(Store(site.settings.store))
    return site


def answer(site: Datasite, study: Manifest, number: int, outcome: str = "released", charged: bool = True) -> None:
    """What the agent does with a round's outcome."""
    state, request = site.state, f"{number:064x}"
    state.audit.record(Kind.RUN_STARTED, study=study.digest, round=number)
    if charged:
        plan = Plan(3, (SampledGaussian(4.0, 0.05, 20),))
        charge = Charge("stays", study.digest, study.researcher, number, request, plan.per_round, plan.events)
        state.ledger.reserve(charge, site.policy("stays").budget)
    reply = f"sealed {number}".encode()
    left = AnsweredRound(number, request, outcome, True, number == 2, reply, now().isoformat(), 1.0)
    state.record_answer(study.digest, left)


def _plant(site: Datasite, folder: Path) -> None:
    """One patient's row among the others, as the hospital holds it."""
    rows = stays(1, 20).astype({"patient_id": str})
    rows.loc[0, "patient_id"] = PATIENT
    pd.DataFrame(rows).to_csv(folder / "stays.csv", index=False)
    source = TableSource(path=folder / "stays.csv")
    Registry(site.home.datasets).add(RegisteredTable(source, Dictionary.load(DICTIONARY)))
