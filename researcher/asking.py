"""One question to all hospitals of an approved study that trains nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from datasites.wire.arrays import Arrays
from researcher.errors import RoundFailed
from researcher.exchange import Answer
from researcher.participation import ApprovedStudy
from researcher.secagg.exchange import SUM
from researcher.secagg.summed import of_sums
from researcher.strategies import FedAvg


@dataclass(frozen=True)
class Told:
    """What was answered; `hospitals` and `rounding` are of a sum (see `exchange.Answer`)."""

    examples: int
    arrays: Arrays = field(repr=False)
    hospitals: int = 1
    rounding: Mapping[str, int] = field(default_factory=dict)


def ask_once(submission: ApprovedStudy, deadline: float) -> dict[str, Told]:
    """By hospital's address, of those that have answered within `deadline` seconds; under `SUM`, where hospitals show
    their sum alone.

    Asked again, hospitals give the answer that they gave, and count and charge nothing. A sum that was had is kept
    here; one that failed is asked for anew, which counts, and is charged, wherever a hospital had sent its numbers.
    Raises RoundFailed, saying why, where nobody answers.
    """
    if submission.manifest.secure_aggregation is not None:
        with submission.journal.alone():
            return {SUM: _sum(of_sums(submission, FedAvg(), {}), deadline)}
    answers = _answers(submission, 1, submission.participants(), deadline)
    found = {hospital: told for hospital, one in sorted(answers.items()) if (told := _told(one))}
    if not found:
        raise _failed(submission, answers)
    return found


def _sum(study: ApprovedStudy, deadline: float) -> Told:
    if (kept := study.journal.kept_sum()) is not None:
        about, arrays = kept
        return Told(arrays=arrays, **about)
    checkpoint, asked = study.journal.checkpoint(), study.participants()
    if not asked:
        raise RoundFailed("Too few of the hospitals in the sum have approved.", "See Submission.status().")
    answers = _answers(study, checkpoint.messages + 1, asked, deadline)
    study.journal.move(replace(checkpoint, messages=checkpoint.messages + 1))
    told = _told(answers[SUM])
    if told is None:
        raise _failed(study, answers)
    header: dict[str, Any] = {"examples": told.examples, "hospitals": told.hospitals, "rounding": dict(told.rounding)}
    study.journal.keep_sum(header, told.arrays)
    return told


def _answers(study: ApprovedStudy, number: int, hospitals: list[str], deadline: float) -> dict[str, Answer]:
    exchange, initial = study.exchange(), study.journal.checkpoint().parameters
    tickets = exchange.post(number, hospitals, initial, evaluate=True, fit=False)
    answers = {one.hospital: one for one in exchange.answers(tickets, deadline)}
    exchange.withdraw(tickets)
    return answers


def _told(one: Answer) -> Told | None:
    if not one.usable or one.reply is None or one.reply.evaluate is None:
        return None
    return Told(one.reply.evaluate.num_examples, one.metrics, one.hospitals, one.rounding)


def _failed(study: ApprovedStudy, answers: Mapping[str, Answer]) -> RoundFailed:
    why = " ".join(f"{study.label(hospital)}: {one.problem}" for hospital, one in answers.items())
    return RoundFailed(f"No hospital has answered. {why}", "See Submission.status().")
