"""An S3 store that keeps less order than most: listings that lag behind, and requests that arrive once more, late.

A proxy before a real S3 server; what it does wrong it decides by chance, from a seed.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import unescape

_ENTRY = re.compile(rb"<Contents>.*?<Key>(.*?)</Key>.*?</Contents>", re.S)
_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


@dataclass
class Unruly:
    """lag: a listing may show the store as it was up to so many seconds ago: without what was put since, and with what
    was deleted since. echo: each request that writes comes again up to so many seconds later, by itself: what was put
    is put again after it was replaced or deleted. bodies: what was put first under each key, while echo is on."""

    endpoint: str
    lag: float = 0.0
    echo: float = 0.0
    late: int = 0  # listings that were not of this moment
    echoed: int = 0
    bodies: dict[str, bytes] = field(default_factory=dict)
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    _put: dict[str, float] = field(default_factory=dict)  # key: when it was new
    _deleted: dict[str, float] = field(default_factory=dict)
    _entries: dict[str, bytes] = field(default_factory=dict)  # as they were listed last
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wrote(self, method: str, key: str) -> None:
        with self._lock:
            if method == "PUT" and key not in self._put:
                self._put[key] = time.monotonic()
            if method == "DELETE" and self._put.pop(key, None) is not None:
                self._deleted[key] = time.monotonic()

    def listed(self, query: dict[str, list[str]], page: bytes) -> bytes:
        """A page of a listing, as it may have been some time ago."""
        with self._lock:
            there = {unescape(unquote(m[1].decode())): m[0] for m in _ENTRY.finditer(page)}
            self._entries |= there
            if not self.lag or self.chance.random() < 0.3:  # now and then another replica answers, which is up to date
                return page
            then = time.monotonic() - self.chance.uniform(0, self.lag)
            prefix, after = query.get("prefix", [""])[0], query.get("start-after", [""])[0]
            gone = {key for key in there if self._put.get(key, 0) > then}
            ghosts = [
                self._entries[key]
                for key, at in self._deleted.items()
                if at > then and key in self._entries and key not in there and key.startswith(prefix) and key > after
            ]
            self.late += bool(gone or ghosts)
        page = _ENTRY.sub(lambda m: b"" if unescape(unquote(m[1].decode())) in gone else m[0], page)
        return page.replace(b"</ListBucketResult>", b"".join(ghosts) + b"</ListBucketResult>")


@contextlib.contextmanager
def unruly(endpoint: str) -> Iterator[Unruly]:
    """Stands before the server at `endpoint`, for as long as the block runs."""
    target = urlsplit(endpoint).netloc
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.store = Unruly(f"http://127.0.0.1:{server.server_address[1]}")  # type: ignore[attr-defined]
    server.target = target  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.store  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer goes out in one piece

    def _pass(self) -> None:
        store: Unruly = self.server.store  # type: ignore[attr-defined]
        address = urlsplit(self.path)
        key = unquote(address.path).lstrip("/").partition("/")[2]  # behind the bucket
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = (self.command, self.path, list(self.headers.items()), body)
        status, headers, answer = self._ask(*request)
        if self.command in ("PUT", "DELETE") and status < 300:
            store.wrote(self.command, key)
            if store.echo and self.command == "PUT":
                store.bodies.setdefault(key, body)
                threading.Thread(target=self._again, args=(store, *request), daemon=True).start()
        if self.command == "GET" and not key and "list-type" in address.query:
            answer = store.listed(parse_qs(address.query), answer)
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in _HOP:
                self.send_header(name, value)
        length = next((v for n, v in headers if n.lower() == "content-length" and self.command == "HEAD"), None)
        self.send_header("Content-Length", length or str(len(answer)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(answer)

    do_GET = do_PUT = do_DELETE = do_HEAD = do_POST = _pass  # noqa: N815

    def _ask(
        self, method: str, path: str, headers: list[tuple[str, str]], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """The signature holds for the address that the client named: its headers are passed on as they are."""
        connection = http.client.HTTPConnection(self.server.target, timeout=60)  # type: ignore[attr-defined]
        with contextlib.closing(connection):
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()

    def _again(self, store: Unruly, *request: Any) -> None:
        time.sleep(store.chance.uniform(0, store.echo))
        with contextlib.suppress(OSError, http.client.HTTPException):
            self._ask(*request)
            store.echoed += 1

    def log_message(self, format: str, *args: object) -> None:
        """A test's output is not for each request."""
