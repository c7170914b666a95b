"""The agent's numbers over HTTP, on this machine's loopback alone: no hospital opens a port to a network.

Loopback is open to every user of the machine, and to pages in their browsers. It tells only sums; who asks under
another name than the address (as a page does that makes its own name point here) is turned away; and few are served at
once, so that nobody takes the agent's processor.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from policies.errors import InvalidInput, Unavailable

log = logging.getLogger(__name__)
_AT_ONCE = 4
_PATIENCE_SECONDS = 5


def parsed(address: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:9464` or `[::1]:9464`; port 0 takes a free one. Raises InvalidInput for an address
    that other machines could reach."""
    host, _, port = address.rpartition(":")
    try:
        place, number = ipaddress.ip_address(host.removeprefix("[").removesuffix("]")), int(port)
    except ValueError:
        raise InvalidInput(f"{address!r} is not an address to serve metrics at.", "Give 127.0.0.1:9464.") from None
    if not place.is_loopback:
        raise InvalidInput(
            f"Metrics are not served at {place}: other machines could reach it.",
            "Give 127.0.0.1:9464, and let a Prometheus agent on this machine, or a tunnel, carry them on.",
        )
    if not 0 <= number < 65536:
        raise InvalidInput(f"There is no port {number}.", "Give 127.0.0.1:9464.")
    return str(place), number


@contextmanager
def served(address: str, registry: CollectorRegistry) -> Iterator[str]:
    """Serves within the block, in a thread of its own; gives the page's address. Raises InvalidInput, Unavailable."""
    host, port = parsed(address)
    try:
        server = _Server(host, port, registry)
    except OSError as error:
        raise Unavailable(f"Metrics cannot be served at {address}: {error.strerror}.", "Give another port.") from None
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    try:
        yield f"http://{server.own_name}/metrics"
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.registry = registry
        self._room = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__((host, port), _Handler)
        self.own_name = f"[{host}]:{self.server_port}" if ":" in host else f"{host}:{self.server_port}"

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # without asking for a name of the address
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: object, client_address: object) -> None:
        log.debug("a reader of the metrics went away")  # and no traceback on the terminal


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _PATIENCE_SECONDS
    server_version, sys_version = "wardround", ""

    def do_GET(self) -> None:
        if self.headers.get("Host") not in (self.server.own_name, f"localhost:{self.server.server_port}"):
            self._say(403, b"This page is served under its address alone.\n")
        elif self.path != "/metrics":
            self._say(404, b"See /metrics.\n")
        else:
            self._say(200, generate_latest(self.server.registry), CONTENT_TYPE_LATEST)

    def _say(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody needs a line for each look."""
