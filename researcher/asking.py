"""One question to all hospitals of an approved study that trains nothing."""

from __future__ import annotations

from datasites.wire.arrays import Arrays
from researcher.errors import RoundFailed
from researcher.participation import ApprovedStudy


def ask_once(submission: ApprovedStudy, deadline: float) -> dict[str, tuple[int, Arrays]]:
    """(number of examples, arrays) by hospital's address, of those that have answered within `deadline` seconds.

    Always the same message: asked again, hospitals give the answer that they gave, and count and charge nothing.
    Raises RoundFailed, saying why, where nobody answers.
    """
    exchange, hospitals = submission.exchange(), submission.participants()
    initial = submission.journal.checkpoint().parameters
    tickets = exchange.post(1, hospitals, initial, evaluate=True, fit=False)
    answers = {one.hospital: one for one in exchange.answers(tickets, deadline)}
    exchange.withdraw(tickets)
    found = {
        hospital: (one.reply.evaluate.num_examples, one.metrics)
        for hospital, one in sorted(answers.items())
        if one.usable and one.reply and one.reply.evaluate
    }
    if not found:
        why = " ".join(f"{submission.label(hospital)}: {one.problem}" for hospital, one in answers.items())
        raise RoundFailed(f"No hospital has answered. {why}", "See Submission.status().")
    return found
