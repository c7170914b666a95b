"""Templates, and the pages that say nothing of the hospital.

Every value in a template is escaped, and passes `visible` where somebody else has written it, so that hidden characters
show; only what the packet's renderer has drawn is taken as HTML.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from datasites.approval.packet.page import stylesheet
from datasites.approval.packet.visible import visible
from datasites.review.door import Door

TEMPLATES = Environment(
    loader=PackageLoader("datasites.review"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters["visible"] = lambda value: visible(str(value))
TEMPLATES.filters["when"] = lambda moment: f"{_moment(moment):%Y-%m-%d %H:%M} UTC"


def _moment(moment: datetime | str) -> datetime:
    return (datetime.fromisoformat(moment) if isinstance(moment, str) else moment).astimezone(UTC)


def page(template: str, status: int = 200, **content: object) -> Response:
    return HTMLResponse(TEMPLATES.get_template(template).render(content), status)


def turned_away(status: int, why: str) -> Response:
    """The answer to a request that is not the owner's; not even styled, as it may be read by anybody."""
    return page("turned_away.html", status, why=why)


def entrance(door: Door) -> Response:
    """What the link leads to: a page of this server's own that goes on to the first one. Behind a redirect, a browser
    that came from elsewhere (a file, a mail program) would not send the cookie."""
    answer = page("entrance.html", at=door.at)
    answer.headers["Set-Cookie"] = door.cookie
    return answer


def style() -> Response:
    """The packet's style, and that of the pages around it."""
    own = files("datasites.review").joinpath("page.css").read_text("utf-8")
    return Response(stylesheet() + own, media_type="text/css")
