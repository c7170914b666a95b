"""One owner at one datasite: what the pages share."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from datasites.datasite import Datasite
from datasites.heartbeat import alive, trouble
from datasites.review import pages
from datasites.review.door import Door
from policies.errors import InvalidInput, Refused, Unavailable, WardroundError

log = logging.getLogger(__name__)
_STATUS = {InvalidInput: 404, Refused: 409, Unavailable: 503}


@dataclass(frozen=True)
class Notice:
    """What became of the form that was sent last, told on the next page. `form`: what to fill in again, if refused."""

    text: str
    tone: Literal["good", "bad"] = "good"
    form: Mapping[str, str] = field(default_factory=dict)


class Desk:
    """Answers one request after the other: they are one person's, and Syft's client is not made for more."""

    def __init__(self, site: Datasite, door: Door) -> None:
        self.site = site
        self._door = door
        self._notice: Notice | None = None
        self._turn = threading.Lock()

    def answers(self, handler: Callable[[Desk, Request], Response]) -> Callable[[Request], Response]:
        """The handler, as the server calls it; what it refuses is told in one sentence."""

        def answer(request: Request) -> Response:
            with self._turn:
                try:
                    return handler(self, request)
                except WardroundError as problem:
                    if request.method == "POST":
                        return self.go("/", refusal(problem))
                    status = next((code for kind, code in _STATUS.items() if isinstance(problem, kind)), 400)
                    return self.page("problem.html", status, title="That did not work", why=str(problem))

        return answer

    def page(self, template: str, status: int = 200, **content: object) -> Response:
        notice, self._notice = self._notice, None
        heartbeat = self.site.home.heartbeat
        return pages.page(
            template,
            status,
            at=self._door.at,
            form_token=self._door.form_token,
            hospital=self.site.settings.name or self.site.settings.email,
            agent_runs=alive(heartbeat),
            trouble=trouble(heartbeat),
            notice=notice,
            **content,
        )

    def go(self, path: str, notice: Notice) -> Response:
        """To another page, after a form: so that looking at it again does not send the form again."""
        self._notice = notice
        return RedirectResponse(f"{self._door.at}{path}", status_code=303)


def refusal(problem: WardroundError, form: Mapping[str, str] | None = None) -> Notice:
    return Notice(str(problem), "bad", form or {})
