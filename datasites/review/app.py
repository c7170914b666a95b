"""The review page as an ASGI application. `serve` runs it."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from datasites.datasite import Datasite
from datasites.review import books, decide, outputs, studies
from datasites.review.desk import Desk
from datasites.review.door import Door
from datasites.review.guard import Guard
from datasites.review.pages import style, turned_away


def application(site: Datasite, door: Door) -> ASGIApp:
    """All pages of one datasite, for whoever comes through the door."""
    desk = Desk(site, door)
    read = {
        "/": studies.listing,
        "/studies/{study}": studies.study,
        "/studies/{study}/log": outputs.log,
        "/held": outputs.held,
        "/budget": books.budget,
        "/history": books.history,
        "/audit": books.audit,
    }
    sent = {
        "/studies/{study}/approve": decide.approve,
        "/studies/{study}/deny": decide.deny,
        "/studies/{study}/revoke": decide.revoke,
        "/studies/{study}/log/preview": outputs.preview,
        "/studies/{study}/log/send": outputs.send,
        "/audit/check": books.check,
    }
    routes = [
        Route("/page.css", lambda request: style()),
        *(Route(path, desk.answers(handler)) for path, handler in read.items()),
        *(Route(path, desk.answers(handler), methods=["POST"]) for path, handler in sent.items()),
    ]
    handlers = {404: _none, 405: _wrong_way, Exception: _failed}
    return Guard(Starlette(routes=[Mount(door.at, routes=routes)], exception_handlers=handlers), door)


def _none(request: Request, problem: Exception) -> Response:
    return turned_away(404, "There is no such page.")


def _wrong_way(request: Request, problem: Exception) -> Response:
    return turned_away(405, "This is done with a form of the page, or not at all. Nothing was done.")


def _failed(request: Request, problem: Exception) -> Response:
    """The details are in the terminal, where the owner's helper can read them."""
    return turned_away(500, "This failed, and nothing more was done. The terminal of `wardround review` says why.")
