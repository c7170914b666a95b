"""The studies that were submitted here, and one of them in full."""

from __future__ import annotations

import re

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from datasites.review.desk import Desk
from policies.errors import InvalidInput


def asked_for(request: Request) -> str:
    """The whole digest in the path. Nothing shorter: what is shown is what is decided on, to the byte."""
    digest = str(request.path_params["study"])
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise InvalidInput("There is no such study.", "Choose one from the list of studies.")
    return digest


def listing(desk: Desk, request: Request) -> Response:
    every = desk.site.studies().to_dict("records")
    waiting = [one for one in every if one["decision"] == "waiting"]
    decided = [one for one in every if one["decision"] != "waiting"]
    return desk.page("studies.html", title="Studies", waiting=waiting, decided=decided)


def study(desk: Desk, request: Request) -> Response:
    packet = desk.site.packet(asked_for(request))
    trained, tested = desk.site.state.used(packet.digest)
    return desk.page(
        "study.html",
        title=f"Study {packet.manifest.name}",
        packet=packet,
        article=Markup(packet.article()),  # noqa: S704 (the packet's own renderer escapes)
        seen=len(packet.history),
        current=packet.history[-1] if packet.history else None,
        trained=trained,
        tested=tested,
        days=desk.site.settings.approval_days,
        most_days=packet.ruling.policy.approval.days if packet.ruling.policy else None,
    )
