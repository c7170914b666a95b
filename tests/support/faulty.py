"""A TCP proxy on this machine that stands before a real server and misbehaves on request."""

from __future__ import annotations

import contextlib
import socket
import struct
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
    "slow" (an answer comes `delay` seconds late), "reset" (as "cut", by a reset), "truncate" (an answer's
    last bytes are missing), or "hole" (nothing comes through and nobody is told; a connection that was open meanwhile
    is dead for good).

    bytes_per_second: of the line that all connections share, in each direction; None for as fast as it goes.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.mode, self.delay = "pass", 0.3
        self.bytes_per_second: float | None = None
        self._lines = (threading.Lock(), threading.Lock())  # to the store, and back
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
            if mode == "hole":
                _swallow(client)
                return
            with socket.create_connection(self._target) as server:
                asked = threading.Event()  # since the last answer
                answers = threading.Thread(target=self._copy, args=(server, client, True, asked), daemon=True)
                answers.start()
                self._copy(client, server, False, asked)
                answers.join()

    def _copy(self, source: socket.socket, sink: socket.socket, answer: bool, asked: threading.Event) -> None:
        """A connection that is open already misbehaves too."""
        with contextlib.suppress(OSError):
            while data := source.recv(self._piece()):
                if self.mode == "hole":
                    _swallow(source)
                    return
                if self.mode in ("drop", "500", "503") or (answer and self.mode in ("cut", "reset", "truncate")):
                    if self.mode == "truncate":
                        sink.sendall(data[:-1])
                    if self.mode == "reset":  # to linger for no time is to reset
                        sink.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        sink.close()
                    break
                if answer and asked.is_set() and self.mode == "slow":
                    time.sleep(self.delay)
                (asked.clear if answer else asked.set)()
                if rate := self.bytes_per_second:
                    with self._lines[answer]:
                        time.sleep(len(data) / rate)
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _piece(self) -> int:
        return 4096 if self.bytes_per_second else 65536


def _swallow(source: socket.socket) -> None:
    while source.recv(65536):
        pass


@contextlib.contextmanager
def before(endpoint: str) -> Iterator[Faulty]:
    """A proxy before the server at `endpoint`, for as long as the block runs."""
    address = urlsplit(endpoint)
    proxy = Faulty((str(address.hostname), int(address.port or 80)))
    try:
        yield proxy
    finally:
        proxy.close()
