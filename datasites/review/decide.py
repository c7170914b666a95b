"""Approve, deny, revoke: what the forms of a study's page do, by the datasite's own code and nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from datasites.approval.expiry import until
from datasites.datasite import Datasite
from datasites.review.desk import Desk, Notice, refusal
from datasites.review.studies import asked_for
from datasites.wire.decision import Decision
from policies.errors import InvalidInput, Refused, WardroundError

Form = dict[str, str]
_CHANGED = "This study is not here any more as it was shown: it was changed, or taken back. Nothing was decided."


def approve(desk: Desk, request: Request) -> Response:
    return _decide(desk, request, _approve)


def deny(desk: Desk, request: Request) -> Response:
    return _decide(desk, request, lambda site, study, form: site.deny(study, reason=_reason(form)))


def revoke(desk: Desk, request: Request) -> Response:
    return _decide(desk, request, lambda site, study, form: site.revoke(study, reason=_reason(form)))


def _decide(desk: Desk, request: Request, act: Callable[[Datasite, str, Form], Decision]) -> Response:
    study, form = asked_for(request), request.state.form
    path = f"/studies/{study}"
    try:
        desk.site.office.find(study)
    except InvalidInput:
        return desk.go("/", Notice(_CHANGED, "bad"))
    try:
        if form.get("seen") != str(len(desk.site.state.decisions(study))):
            raise Refused("Somebody has decided on this study since the page was shown.", "Look at it as it is now.")
        return desk.go(path, _told(act(desk.site, study, form)))
    except sqlite3.IntegrityError:  # two decisions took the same number
        problem: WardroundError = Refused("Somebody else decided on this study at this moment.", "Look at it again.")
    except WardroundError as error:
        problem = error
    return desk.go(path, refusal(problem, form))


def _approve(site: Datasite, study: str, form: Form) -> Decision:
    if form.get("read") != "yes":
        raise InvalidInput("Nothing was approved.", "Tick that you have read what would run and what may leave.")
    rounds, end = form.get("rounds", "").strip(), form.get("expires", "").strip()
    return site.approve(
        study,
        rounds=_number(rounds) if rounds else None,
        expires_at=until(end) if end else None,
        reason=form.get("reason", "").strip(),
    )


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidInput(f"{text[:40]!r} is not a number of rounds.", "Write digits, such as 5.")
    return int(text)


def _reason(form: Form) -> str:
    reason = form.get("reason", "").strip()
    if not reason:
        raise InvalidInput("There is no reason yet, and nothing was done.", "Write one: the researcher will read it.")
    return reason


def _told(decision: Decision) -> Notice:
    if decision.verdict != "approved":
        return Notice(f"The study is {decision.verdict}. The decision is signed, and the researcher is told.")
    until = f", until {decision.expires_at:%Y-%m-%d %H:%M} UTC" if decision.expires_at else ""
    return Notice(f"The study is approved for {decision.rounds:,} rounds{until}. The decision is signed.")
