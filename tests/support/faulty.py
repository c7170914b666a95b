"""A TCP proxy on this machine that stands before a real server and misbehaves on request."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

_ERROR = (
    b"HTTP/1.1 %d Trouble\r\nContent-Type: application/xml\r\nContent-Length: 67\r\nConnection: close\r\n\r\n"
    b"<Error><Code>InternalError</Code><Message>Trouble.</Message></Error>"
)


class Faulty:
    """`mode`: "pass", "drop" (connections are closed at once), "cut" (after the request was passed on), "500", "503",
    or "slow" (each piece of an answer waits for `delay` seconds)."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.mode, self.delay = "pass", 0.3
        self._target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            mode = self.mode
            if mode == "drop":
                return
            if mode in ("500", "503"):
                client.recv(65536)
                client.sendall(_ERROR % int(mode))
                return
            with socket.create_connection(self._target) as server:
                answers = threading.Thread(target=self._copy, args=(server, client, True), daemon=True)
                answers.start()
                self._copy(client, server, False)
                answers.join()

    def _copy(self, source: socket.socket, sink: socket.socket, answer: bool) -> None:
        """A connection that is open already misbehaves too."""
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self.mode in ("drop", "500", "503") or (answer and self.mode == "cut"):
                    break
                if answer and self.mode == "slow":
                    time.sleep(self.delay)
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def before(endpoint: str) -> Iterator[Faulty]:
    """A proxy before the server at `endpoint`, for as long as the block runs."""
    address = urlsplit(endpoint)
    proxy = Faulty((str(address.hostname), int(address.port or 80)))
    try:
        yield proxy
    finally:
        proxy.close()
