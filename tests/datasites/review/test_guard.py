"""Requests that are not the owner's: each finds the door closed, and nothing is decided."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from datasites.datasite import Datasite
from datasites.review.guard import MOST_BYTES
from tests.support.review import Served, served
from tests.support.submissions import manifest

DIGEST = manifest().digest
DENY = f"/studies/{DIGEST}/deny"
ELSEWHERE = "http://evil.example.org"
READ = ["/", f"/studies/{DIGEST}", f"/studies/{DIGEST}/log", "/held", "/budget", "/history", "/audit", "/page.css"]
SENT = [f"/studies/{DIGEST}/{act}" for act in ("approve", "deny", "revoke", "log/preview", "log/send")] + [
    "/audit/check"
]


@pytest.fixture
def page_of(still: Datasite) -> Iterator[Served]:
    """One that nobody has opened yet."""
    with served(still) as running:
        yield running


def undecided(site: Datasite) -> bool:
    return site.state.decision(DIGEST) is None


class TestTheWayIn:
    def test_the_link_works_once(self, page_of: Served) -> None:
        assert page_of.enter().status == 200
        page_of.cookie, owners = "", page_of.cookie
        again = page_of.enter()
        assert (again.status, "set-cookie" in again.headers) == (403, False)
        assert "used before" in again.text
        page_of.cookie = owners
        assert page_of.get("/").status == 200

    @pytest.mark.parametrize("link", ["", "guess", "%00", "é" * 20])
    def test_a_wrong_link_opens_nothing_and_uses_nothing_up(self, page_of: Served, link: str) -> None:
        path = f"{page_of.door.at}/open?link={link.encode().hex() if link == 'é' * 20 else link}"
        answer = page_of.ask("GET", path)
        assert (answer.status, "set-cookie" in answer.headers) == (403, False)
        assert page_of.enter().status == 200

    def test_what_only_looks_at_the_link_does_not_use_it_up(self, page_of: Served) -> None:
        path = page_of.door.address.removeprefix(page_of.door.origin)
        assert "set-cookie" not in page_of.ask("HEAD", path).headers
        assert page_of.enter().status == 200

    @pytest.mark.parametrize("path", READ)
    def test_without_the_cookie_nothing_is_read(self, page_of: Served, path: str) -> None:
        page_of.enter()
        name, _, value = page_of.cookie.partition("=")
        for wrong in (
            "",
            f"{name}=",
            f"{name}={value[:-1]}",
            f"other={value}",
            f"{name}={page_of.door.form_token}",
            '"',
        ):
            page_of.cookie = wrong
            answer = page_of.get(path)
            assert answer.status == 403
            assert "ada@uni.org" not in answer.text

    def test_a_cookie_guessed_before_the_link_was_opened_is_worth_nothing(self, page_of: Served) -> None:
        page_of.cookie = page_of.door.cookie.split(";")[0]
        assert page_of.get("/").status == 403

    @pytest.mark.parametrize("path", ["/", "/studies", "/page.css", "/favicon.ico", "/open?link="])
    def test_a_page_must_be_asked_for_under_the_secret_path(self, owner: Served, path: str) -> None:
        assert owner.ask("GET", path).status == 404
        assert owner.ask("GET", owner.door.at).status == 404

    def test_the_cookie_is_for_this_browser_path_and_server_only(self, still: Datasite, page_of: Served) -> None:
        cookie = page_of.enter().headers["set-cookie"]
        assert {part.strip() for part in cookie.split(";")[1:]} == {
            "HttpOnly", "SameSite=Strict", f"Path={page_of.door.at}/",
        }  # fmt: skip
        with served(still) as later:
            later.enter()
            later.cookie = page_of.cookie
            assert later.get("/").status == 403
            assert later.ask("GET", f"{page_of.door.at}/").status == 404

    def test_only_this_machine_is_listened_to(self, page_of: Served) -> None:
        for kind, address in ((socket.AF_INET, "127.0.0.2"), (socket.AF_INET6, "::1")):
            with socket.socket(kind) as other, pytest.raises(OSError, match=r"refused|assign|unreachable"):
                other.connect((address, page_of.port))


class TestForgedRequests:
    @pytest.mark.parametrize(
        "host", ["evil.example.org", "evil.example.org:{port}", "localhost:{port}", "127.0.0.1", ""]
    )
    def test_another_host_name_is_turned_away(self, still: Datasite, owner: Served, host: str) -> None:
        """DNS rebinding: a name of the attacker's that now points to 127.0.0.1."""
        headers = {"Host": host.format(port=owner.port)}
        answer = owner.ask("GET", owner.door.at + "/", headers)
        assert answer.status in (400, 421)
        assert "ada@uni.org" not in answer.text
        assert owner.send(DENY, headers, seen="0", reason="x").status in (400, 421)
        assert undecided(still)

    @pytest.mark.parametrize("origin", [ELSEWHERE, "null", "http://127.0.0.1", "http://localhost:{port}", ""])
    def test_a_form_of_another_origin_decides_nothing(self, still: Datasite, owner: Served, origin: str) -> None:
        headers = {"Origin": origin.format(port=owner.port)}
        assert owner.send(DENY, headers, seen="0", reason="x").status == 403
        assert undecided(still)

    def test_a_form_without_an_origin_decides_nothing(self, still: Datasite, owner: Served) -> None:
        body = f"form_token={owner.door.form_token}&seen=0&reason=x".encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        assert owner.ask("POST", owner.door.at + DENY, headers, body).status == 403
        assert undecided(still)

    @pytest.mark.parametrize("token", ["", "guess", "é"])
    def test_a_form_without_the_page_s_token_decides_nothing(self, still: Datasite, owner: Served, token: str) -> None:
        assert owner.send(DENY, form_token=token, seen="0", reason="x").status == 403
        assert undecided(still)

    def test_a_token_beside_the_form_does_not_count(self, still: Datasite, owner: Served) -> None:
        path = f"{DENY}?form_token={owner.door.form_token}"
        assert owner.send(path, form_token="", seen="0", reason="x").status == 403
        assert undecided(still)

    @pytest.mark.parametrize("path", SENT)
    def test_nothing_is_changed_by_looking(self, still: Datasite, owner: Served, path: str) -> None:
        before = still.state.audit.size
        query = f"?form_token={owner.door.form_token}&seen=0&reason=x&read=yes&first=1&last=1"
        for method in ("GET", "HEAD"):
            assert owner.ask(method, owner.door.at + path + query).status == 405
        assert undecided(still)
        assert still.state.audit.size == before

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
    def test_other_methods_do_nothing(self, still: Datasite, owner: Served, method: str) -> None:
        assert owner.ask(method, owner.door.at + DENY, {"Origin": owner.door.origin}).status == 405
        assert undecided(still)

    def test_a_form_of_another_kind_decides_nothing(self, still: Datasite, owner: Served) -> None:
        """Text that other sites' forms may send without asking, shaped to be read as a form."""
        for kind in ("text/plain", "multipart/form-data; boundary=x", "application/json", ""):
            assert owner.send(DENY, {"Content-Type": kind}, seen="0", reason="x").status == 415
        assert undecided(still)


class TestMisshapenRequests:
    def test_an_oversize_form_is_not_read_to_its_end(self, still: Datasite, owner: Served) -> None:
        answer = owner.send(DENY, seen="0", reason="x" * MOST_BYTES)
        assert (answer.status, f"{MOST_BYTES:,}" in answer.text) == (413, True)
        assert undecided(still)

    def test_nor_one_that_does_not_say_how_long_it_is(self, still: Datasite, owner: Served) -> None:
        usual = f"Host: {owner.door.host}\r\nOrigin: {owner.door.origin}\r\nCookie: {owner.cookie}\r\n"
        kind = "Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
        with socket.create_connection(("127.0.0.1", owner.port), timeout=10) as line:
            line.sendall(f"POST {owner.door.at}{DENY} HTTP/1.1\r\n{usual}{kind}".encode())
            line.sendall(b"".join(b"1000\r\n" + b"x" * 4096 + b"\r\n" for _ in range(MOST_BYTES // 4096 + 1)))
            assert line.recv(20).startswith(b"HTTP/1.1 413")  # while more could still come
        assert undecided(still)

    @pytest.mark.parametrize("body", ["&a=1" * 30, "&reason=y", "&%ff=1", "&b=%ff"])
    def test_what_cannot_be_read_in_one_way_only_is_refused(self, still: Datasite, owner: Served, body: str) -> None:
        form = f"form_token={owner.door.form_token}&seen=0&reason=x{body}".encode()
        headers = {"Origin": owner.door.origin, "Content-Type": "application/x-www-form-urlencoded"}
        assert owner.ask("POST", owner.door.at + DENY, headers, form).status == 400
        assert undecided(still)

    @pytest.mark.parametrize(
        "path",
        [
            "/studies/../../state.db",
            "/studies/..%2f..%2fstate.db/log",
            "/studies/%2e%2e%2f%2e%2e%2fidentity.json/log",
            "/../identity.json",
            "/page.css/../../identity.json",
            "/templates/base.html",
            "/studies/demo",
            f"/studies/{DIGEST[:12]}",
            f"/studies/{DIGEST}%0a",
            "/held/..%2f..%2fidentity.json",
        ],
    )
    def test_no_path_leads_out_of_the_pages(self, still: Datasite, owner: Served, path: str) -> None:
        answer = owner.get(path)
        assert answer.status == 404
        assert "ada@uni.org" not in answer.text
        assert still.fingerprint not in answer.text


@pytest.mark.parametrize("path", [*READ, "/nothing"])
def test_every_answer_is_kept_to_this_page(owner: Served, path: str) -> None:
    for answer in (owner.get(path), owner.ask("GET", path), owner.ask("GET", "/", {"Host": "evil"}), owner.send(path)):
        policy = {part.strip() for part in answer.headers["content-security-policy"].split(";")}
        assert policy == {
            "default-src 'none'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'",
        }  # fmt: skip
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "server" not in answer.headers
        assert not [name for name in answer.headers if name.startswith("access-control")]
