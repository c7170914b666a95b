"""The review page as its owner meets it: a real server, and a real browser that came by the link."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

from playwright.sync_api import Browser, Playwright

from datasites.datasite import Datasite
from datasites.review.door import Door
from datasites.review.serve import listening, server

SIZES = {"wide": (1280, 900), "phone": (390, 844)}


def chromium(playwright: Playwright) -> Browser:
    """Debian's, as `apt-packages.txt` names it."""
    return playwright.chromium.launch(executable_path="/usr/bin/chromium")


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str


@dataclass
class Served:
    """A server, and requests to it as no browser would send them."""

    door: Door
    cookie: str = field(default="", repr=False)

    @property
    def port(self) -> int:
        return int(self.door.host.rpartition(":")[2])

    def url(self, path: str = "/") -> str:
        return f"{self.door.origin}{self.door.at}{path}"

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
        """`path` from the root, as it stands; the Host header is right unless given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        given = {"Host": self.door.host, **({"Cookie": self.cookie} if self.cookie else {}), **(headers or {})}
        try:
            connection.putrequest(method, path, skip_host=True)
            for name, value in given.items():
                connection.putheader(name, value)
            if body:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            got = connection.getresponse()
            return Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read().decode())
        finally:
            connection.close()

    def enter(self) -> Answer:
        """As the browser that opens the link."""
        answer = self.ask("GET", self.door.address.removeprefix(self.door.origin))
        if answer.status == 200:
            self.cookie = answer.headers["set-cookie"].split(";")[0]
        return answer

    def get(self, path: str) -> Answer:
        return self.ask("GET", self.door.at + path)

    def send(self, path: str, headers: Mapping[str, str] | None = None, **form: str) -> Answer:
        """A form as a page of the server's own would send it, but for what is given."""
        fields = {"form_token": self.door.form_token, **form}
        usual = {"Origin": self.door.origin, "Content-Type": "application/x-www-form-urlencoded"}
        return self.ask("POST", self.door.at + path, {**usual, **(headers or {})}, urlencode(fields).encode())


@contextmanager
def served(site: Datasite) -> Iterator[Served]:
    """The review page of `site`, on a free port."""
    with listening() as listener:
        door = Door(listener.getsockname()[1])
        running = server(site, door)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not running.started:
            time.sleep(0.01)
        try:
            yield Served(door)
        finally:
            running.should_exit = True
            thread.join(10)
