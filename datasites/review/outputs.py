"""What stays at the hospital: results that the gate held back, and studies' logs; and what of a log may leave."""

from __future__ import annotations

import sqlite3

from starlette.requests import Request
from starlette.responses import Response

from datasites.release.held import held_outputs
from datasites.review.desk import Desk, Notice, refusal
from datasites.review.studies import asked_for
from datasites.wire.canonical import sha256
from datasites.wire.excerpt import Excerpt
from datasites.wire.reasons import Reason
from policies.errors import InvalidInput, Refused, WardroundError

_MOST_HELD = 200
_MOST_LINES = 2_000


def held(desk: Desk, request: Request) -> Response:
    found = held_outputs(desk.site.home.held)[::-1]
    told = [(one, Reason(one.reason).text) for one in found[:_MOST_HELD]]
    return desk.page("held.html", title="Held results", held=told, more=len(found) - len(told))


def log(desk: Desk, request: Request) -> Response:
    study = asked_for(request)
    name = desk.site.office.find(study).manifest.name
    lines = list(desk.site.log(study).itertuples(index=False, name=None))
    shown = lines[-_MOST_LINES:]
    return desk.page(
        "log.html",
        title=f"Log of {name}",
        name=name,
        study=study,
        lines=shown,
        total=len(lines),
        sent=[one.excerpt for one in desk.site.state.excerpts(study)],
    )


def preview(desk: Desk, request: Request) -> Response:
    """What would leave, exactly; nothing leaves by this."""
    study = asked_for(request)
    try:
        excerpt = _draft(desk, study, request.state.form)
    except WardroundError as problem:
        return desk.go(f"/studies/{study}/log", refusal(problem, request.state.form))
    return desk.page(
        "excerpt.html",
        title="Send these lines?",
        study=study,
        excerpt=excerpt,
        researcher=desk.site.office.find(study).manifest.researcher,
        shown=_shown(excerpt),
    )


def send(desk: Desk, request: Request) -> Response:
    study, form = asked_for(request), request.state.form
    path = f"/studies/{study}/log"
    try:
        if form.get("read") != "yes":
            raise InvalidInput("Nothing was sent.", "Tick that the lines hold nothing of any patient.")
        excerpt = _draft(desk, study, form)
        if form.get("shown") != _shown(excerpt):
            raise Refused("These are not the lines that were shown; nothing was sent.", "Look at them again.")
        desk.site.release_excerpt(excerpt)
    except sqlite3.IntegrityError:
        again = Refused("Somebody else sent lines of this log at this moment.", "Look at it again.")
        return desk.go(path, refusal(again))
    except WardroundError as problem:
        return desk.go(path, refusal(problem, form))
    return desk.go(path, Notice(f"Lines {excerpt.first_line} to {excerpt.last_line} are signed; the agent sends them."))


def _draft(desk: Desk, study: str, form: dict[str, str]) -> Excerpt:
    first, last = form.get("first", "").strip(), form.get("last", "").strip()
    if not all(text.isascii() and text.isdigit() and len(text) < 10 for text in (first, last)):
        raise InvalidInput("These are no line numbers.", "Write the number of the first line and of the last one.")
    return desk.site.draft_excerpt(study, int(first), int(last))


def _shown(excerpt: Excerpt) -> str:
    """Stands for what the owner has seen, and how many excerpts there were."""
    return sha256(f"{excerpt.number}/{excerpt.first_line}/{excerpt.text}".encode())
