"""The agent's page of numbers: who gets an answer, and who does not."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from prometheus_client import CollectorRegistry

from datasites.monitoring.endpoint import parsed, served
from policies.errors import InvalidInput, Unavailable
from tests.datasites.monitoring.conftest import parsed as numbers_in


@pytest.fixture
def page(registry: CollectorRegistry) -> Iterator[str]:
    with served("127.0.0.1:0", registry) as page:
        yield page


def ask(page: str, path: str = "/metrics", method: str = "GET", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(page).netloc, timeout=60)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_prometheus_reads_it(page: str) -> None:
    status, body = ask(page)
    assert status == 200
    told = numbers_in(body.decode())
    assert told["wardround_state_readable", ()] == 1
    assert told["wardround_agent_setbacks_total", (("what", "store"),)] >= 0


@pytest.mark.parametrize(
    "address", ["0.0.0.0:9464", "192.168.1.2:9464", "[::]:9464", "hospital.org:80", "9464", ":1", ""]
)
def test_an_address_that_others_could_reach_is_refused(address: str, registry: CollectorRegistry) -> None:
    with pytest.raises(InvalidInput, match=r"127\.0\.0\.1"), served(address, registry):
        pass


def test_loopback_is_taken_in_both_spellings() -> None:
    assert parsed("127.0.0.1:9464") == ("127.0.0.1", 9464)
    assert parsed("[::1]:9464") == ("::1", 9464)
    with pytest.raises(InvalidInput, match="port 70000"):
        parsed("127.0.0.1:70000")


def test_a_port_that_is_taken_is_told(page: str, registry: CollectorRegistry) -> None:
    with pytest.raises(Unavailable, match="Give another port"), served(urlsplit(page).netloc, registry):
        pass


@pytest.mark.parametrize("host", ["evil.example.org", "evil.example.org:9464", "127.0.0.1", ""])
def test_a_web_page_that_makes_its_own_name_point_here_reads_nothing(page: str, host: str) -> None:
    status, body = ask(page, Host=host)
    assert status == 403
    assert b"wardround_" not in body


def test_there_is_nothing_else(page: str) -> None:
    assert ask(page, "/")[0] == ask(page, "/metrics/../state.db")[0] == ask(page, "/metrics?name[]=x")[0] == 404
    assert ask(page, method="POST")[0] == ask(page, method="OPTIONS")[0] == 501


def test_readers_who_never_finish_cannot_take_more_than_a_few_threads(page: str) -> None:
    place = urlsplit(page)
    idle = [socket.create_connection((place.hostname or "", place.port or 0), 10) for _ in range(4)]
    for one in idle:
        one.sendall(b"GET /metrics HTTP/1.1\r\n")
    fifth = socket.create_connection((place.hostname or "", place.port or 0), 10)
    assert fifth.recv(1) == b""  # closed at once, and not served by one thread more
    for one in (*idle, fifth):
        one.close()
