"""What every request passes before anything of the datasite is looked at, and the headers of every answer.

It wraps the whole application, so that no page can be added that it does not cover. What it does not let in is told why
in one sentence, and nothing of the hospital.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from datasites.review.door import Door
from datasites.review.pages import entrance, turned_away

MOST_BYTES = 32 * 1024  # of a form; a reason has at most 2,000 characters
_MOST_FIELDS = 20
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # no other site learns an address; no-referrer would take Origin off forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """Hands over a request only if it is the owner's own; a form that it has checked is in `request.state.form`."""

    def __init__(self, pages: ASGIApp, door: Door) -> None:
        self._pages = pages
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError("only http is served")  # uvicorn is told to offer nothing else

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        answer = await self._refusal(scope, receive)
        await (answer or self._pages)(scope, receive, send_guarded)

    async def _refusal(self, scope: Scope, receive: Receive) -> Response | None:
        """The answer to a request that is not handed over."""
        door, headers, method = self._door, Headers(scope=scope), scope["method"]
        if headers.getlist("host") != [door.host]:  # another name that was made to point here: DNS rebinding
            return turned_away(421, "This page is only served to the address that the command opened.")
        if not scope["path"].startswith(f"{door.at}/"):
            return turned_away(404, "There is no such page.")
        if method not in ("GET", "HEAD", "POST"):
            return turned_away(405, "This page is read, and its forms are sent; nothing else is done with it.")
        request = Request(scope, receive)
        if scope["path"] == f"{door.at}/open" and method == "GET":
            return self._open(request)
        if not door.knows("; ".join(headers.getlist("cookie"))):
            return turned_away(403, "This window was not opened by the command. Run `wardround review` again.")
        return await self._check_form(request) if method == "POST" else None

    def _open(self, request: Request) -> Response:
        if not self._door.open(request.query_params.get("link", "")):
            return turned_away(
                403,
                "This link does not work, or was used before. If it was not by you, end the command at once; "
                "then run `wardround review` again.",
            )
        return entrance(self._door)

    async def _check_form(self, request: Request) -> Response | None:
        headers = request.headers
        if headers.getlist("origin") != [self._door.origin]:
            return turned_away(403, "This form was sent from another page. Nothing was done.")
        if headers.get("content-type", "").split(";")[0].strip().lower() != "application/x-www-form-urlencoded":
            return turned_away(415, "This is not a form of this page. Nothing was done.")
        data = bytearray()
        async for part in request.stream():
            data += part
            if len(data) > MOST_BYTES:
                return turned_away(413, f"The form holds more than {MOST_BYTES:,} bytes. Nothing was done.")
        try:
            pairs = parse_qsl(data.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
        except ValueError:
            return turned_away(400, "The form cannot be read. Nothing was done.")
        form = dict(pairs)
        if len(form) < len(pairs):
            return turned_away(400, "The form says something twice. Nothing was done.")
        if not self._door.gave(form.get("form_token", "")):
            return turned_away(403, "This form was not given out by this page. Nothing was done.")
        request.state.form = form
        return None
