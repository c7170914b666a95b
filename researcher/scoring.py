"""Models that are not the study's state, evaluated at its hospitals; what they answered is kept with the study."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from datasites.wire.arrays import Arrays, pack
from datasites.wire.canonical import sha256
from policies.errors import InvalidInput
from researcher.history import metric_of, record_of
from researcher.journal import Journal
from researcher.participation import ApprovedStudy

GREATER_IS_BETTER = ("auc", "accuracy")


def score(
    submission: ApprovedStudy, models: Mapping[str, Arrays], hospitals: Sequence[str], deadline: float
) -> list[dict[str, Any]]:
    """One record for each hospital and model, as in a study's history, with the model's name as `model`.

    It is the evaluation that hospitals approved, and each model counts as one: a study of n rounds has n + 1. A model
    that a hospital has evaluated before is not sent again. Raises InvalidInput where too few evaluations are left.
    """
    journal = submission.journal
    known = {(r["digest"], r["hospital"]): r for r in journal.crossed() if not r["problem"]}
    digests = {name: sha256(pack({}, model)) for name, model in models.items()}
    missing = {digest: [h for h in hospitals if (digest, h) not in known] for digest in digests.values()}
    _check_left(submission, hospitals, sum(map(bool, missing.values())))
    records = list(known.values())
    for digest, asked in missing.items():
        if asked:
            model = next(models[name] for name, of in digests.items() if of == digest)
            records += _ask(submission, model, digest, asked, deadline)
    names = {digest: [name for name, of in digests.items() if of == digest] for digest in digests.values()}
    return [{**r, "model": name} for r in records for name in names.get(r["digest"], ()) if r["hospital"] in hospitals]


def affordable(submission: ApprovedStudy, models: Mapping[str, Arrays], hospitals: Sequence[str]) -> list[str]:
    """Those hospitals whose approval has evaluations left for all of the models that they have not evaluated yet, and
    one more for the last state: a hospital that has given all does not train any more."""
    used, digests = _used(submission.journal), {sha256(pack({}, model)) for model in models.values()}
    known = {(r["digest"], r["hospital"]) for r in submission.journal.crossed() if not r["problem"]}
    missing = {h: sum((digest, h) not in known for digest in digests) for h in hospitals}
    return [h for h in hospitals if used[h] + missing[h] <= submission.manifest.rounds]


def best(scores: Sequence[Mapping[str, Any]], hospital: str, by: str) -> dict[str, Any] | None:
    """A hospital's record of the model that did best there; None where it did not say it of every one. Less is better,
    but for an AUC and accuracy; the first of equals."""
    sign = -1.0 if by in GREATER_IS_BETTER else 1.0
    told = [(sign * metric_of(record, by), dict(record)) for record in scores if record["hospital"] == hospital]
    if not told or any(math.isnan(value) for value, _ in told):
        return None
    return min(told, key=lambda one: (one[0], one[1]["model"]))[1]


def _ask(
    submission: ApprovedStudy, model: Arrays, digest: str, hospitals: list[str], deadline: float
) -> list[dict[str, Any]]:
    """One message. Its number is used up before it is posted, for another one under that number is never answered."""
    journal, exchange = submission.journal, submission.exchange()
    checkpoint = journal.checkpoint()
    number = checkpoint.messages + 1
    journal.close_round(replace(checkpoint, messages=number), [])
    tickets = exchange.post(number, hospitals, model, evaluate=True, fit=False)
    answers = {one.hospital: one for one in exchange.answers(tickets, deadline)}
    exchange.withdraw(tickets)
    silence = f"No answer within {deadline:g} seconds."
    records = [record_of(h, answers.get(h), number, checkpoint.round, False, silence) for h in hospitals]
    records = [{**record, "digest": digest} for record in records]
    journal.cross(number, records)
    return records


def _used(journal: Journal) -> Counter[str]:
    """Evaluations by hospital. One message's may stand in both records, and is one."""
    both = (*journal.history(), *journal.crossed())
    return Counter(hospital for hospital, _ in {(r["hospital"], r["message"]) for r in both if r["evaluate"]})


def _check_left(submission: ApprovedStudy, hospitals: Sequence[str], wanted: int) -> None:
    used = _used(submission.journal)
    left = submission.manifest.rounds + 1 - max((used[hospital] for hospital in hospitals), default=0)
    if wanted > left:
        raise InvalidInput(
            f"{wanted} models need as many evaluations, and this study's approval has {left} left.",
            "Train with evaluate=False, or ask for more rounds than you train.",
        )
