"""Whoever runs the store has its certificate, and may answer what they like. Nobody needs to trust them."""

from __future__ import annotations

import gzip
import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from datasites.onboarding.authority import Authority, locked, plain
from datasites.wire.passphrase import remember
from datasites.wire.store import Store
from policies.errors import InvalidInput, Unavailable
from tests.support.s3 import KEY, SECRET

PASSPHRASE = b"a long passphrase"
BOMB = gzip.compress(bytes(50_000_000))
asked: list[str] = []


class Hostile(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        what = self.path.rsplit("/", 1)[-1]
        asked.append(what)
        if what == "elsewhere":
            self.send_response(302)
            self.send_header("Location", "/federation/followed")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif what == "bomb":
            self._send(BOMB, ("Content-Encoding", "gzip"), ("Content-Length", str(len(BOMB))))
        elif what == "unmeasured":
            self._send(b"", ("Transfer-Encoding", "chunked"))
            try:
                for _ in range(64):
                    self.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
                self.wfile.write(b"0\r\n\r\n")
            except OSError:
                return
        elif what == "liar":
            self._send(bytes(5_000), ("Content-Length", "10"))
        else:
            self._send(b"fine", ("Content-Length", "4"))

    def _send(self, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(200)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what the tests want."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    authority = Authority.create(folder / "ca", "c", PASSPHRASE)
    pem, key = authority.issue("store", "store", ["localhost"])
    (folder / "store.pem").write_bytes(pem + plain(key))
    pem, key = authority.issue("do@north.org", "hospital")
    (folder / "north.pem").write_bytes(pem + locked(key, PASSPHRASE))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "store.pem")
    context.load_verify_locations(folder / "ca/ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    remember(folder, PASSPHRASE)
    with Server(("localhost", 0), Hostile) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = {
            "aws_endpoint": f"https://localhost:{server.server_address[1]}",
            "aws_access_key_id": KEY,
            "aws_secret_access_key": SECRET,
            "ca_file": str(folder / "ca/ca.pem"),
            "certificate_file": str(folder / "north.pem"),
        }
        yield Store("s3://federation", options)
        server.shutdown()


def test_no_more_is_taken_than_was_allowed(store: Store) -> None:
    assert store.get("x/fine", max_bytes=10) == b"fine"
    with pytest.raises(Unavailable):
        store.get("x/unmeasured", max_bytes=10)
    assert store.get("x/bomb", max_bytes=len(BOMB)) == BOMB  # and not the 50 million bytes that it would become
    with pytest.raises(InvalidInput, match="at most 10"):
        store.get("x/bomb", max_bytes=10)
    assert store.get("x/liar", max_bytes=10) == bytes(10)


def test_nobody_is_sent_elsewhere(store: Store) -> None:
    with pytest.raises(Unavailable):
        store.get("x/elsewhere")
    assert "followed" not in asked
