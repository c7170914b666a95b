"""Runs the review page until it is ended, on this machine's own address alone."""

from __future__ import annotations

import html
import signal
import socket
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn

from datasites.datasite import Datasite
from datasites.review.app import application
from datasites.review.door import Door
from datasites.wire.files import write_atomically
from policies.errors import InvalidInput

_LINK = "review.html"  # in the datasite's home, while the page is served


@contextmanager
def listening(port: int = 0) -> Iterator[socket.socket]:
    """A socket on 127.0.0.1; port 0 takes a free one. Raises InvalidInput where the port is taken."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise InvalidInput(
                f"Port {port} cannot be used: {getattr(error, 'strerror', None) or error}.",
                "Leave --port out; a free one is taken.",
            ) from None
        yield listener


def server(site: Datasite, door: Door) -> uvicorn.Server:
    config = uvicorn.Config(
        application(site, door),
        access_log=False,  # it would write the link down
        log_level="warning",
        lifespan="off",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    return uvicorn.Server(config)


def serve(site: Datasite, port: int, opened: bool, tell: Callable[[str], None]) -> None:
    """Serves until Ctrl-C, or SIGTERM. `opened`: in a browser at once; `tell` gets the link in any case.

    For the main thread of a process.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # nothing is left behind by either
    with listening(port) as listener:
        door = Door(listener.getsockname()[1])
        running = server(site, door)
        listener.listen()  # before a browser comes
        with _link(site, door) as file:
            shown = opened and webbrowser.open(file.as_uri())
            tell("If no window opens, open this link" if shown else "Open this link in a browser on this machine")
            tell(f"(it works once):\n{door.address}\nThe page is there until you end this command with Ctrl-C.")
            with suppress(KeyboardInterrupt):
                running.run(sockets=[listener])


@contextmanager
def _link(site: Datasite, door: Door) -> Iterator[Path]:
    """A file that leads to the page. A browser is started with its name and not with the link, as every user of a
    machine can read with what arguments a program was started."""
    file, address = site.home.path / _LINK, html.escape(door.address)
    write_atomically(
        file,
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
        f'<meta http-equiv="refresh" content="0; url={address}"><title>Wardround review</title></head>\n'
        f'<body><a href="{address}">Go to the review page</a></body></html>\n'.encode(),
    )
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)
