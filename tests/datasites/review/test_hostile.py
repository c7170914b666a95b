"""What others wrote, in the owner's browser: it is shown as text, in full, and never becomes part of the page."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page, expect

from datasites.datasite import Datasite
from datasites.home import STUDY_LOG
from datasites.release.held import hold
from datasites.state import now
from datasites.wire.identity import Identity
from datasites.wire.manifest import CodeFile
from datasites.wire.outputs import ArraySpec, OutputContract
from datasites.wire.reasons import Reason
from tests.support.review import Served
from tests.support.submissions import CODE, deliver, manifest

EVIL = (
    """'"></textarea></title></script><img src=x onerror="document.title='owned'">"""
    "<script>document.title='owned'</script>"
)
MADE_BY_IT = "img, script, iframe, object, embed, base, [onerror], [onload], [style]"
DIGEST = manifest().digest


def harmless(page: Page) -> None:
    """Nothing of it became an element, and nothing ran."""
    assert page.locator(MADE_BY_IT).count() == 0
    assert "owned" not in page.title()


@pytest.fixture
def hostile(site: Datasite, ada: Identity) -> str:
    """Whatever a researcher may write holds the attack; the digest of their study."""
    code = {**CODE, "notes.txt": EVIL.encode(), "study.py": CODE["study.py"] + f"# {EVIL}\n".encode()}
    outputs = OutputContract(
        parameters={EVIL: ArraySpec(shape=(4,), dtype="int64")},
        fit_metrics=(EVIL,),
        evaluate_metrics=(EVIL + "2",),
        evaluate_arrays={EVIL: ArraySpec(shape=(2,), dtype="int64")},
    )
    twin = {"hospital": "do@north.org", "fit_seconds": 1.0, "evaluate_seconds": 1.0, "train_examples": 1}
    twin |= {"test_examples": 1, "fit_metrics": {EVIL[:100]: 1.0}, "evaluate_metrics": {}}
    asked = manifest(
        code, name="evil", purpose=EVIL, config={EVIL: EVIL}, outputs=outputs,
        rehearsal={"sandbox": EVIL[:100], "twins": [twin]},
    )  # fmt: skip
    deliver(site, asked, ada, code)
    (site.home.study(asked.digest) / STUDY_LOG).write_text(f"{EVIL}\n")
    hold(
        site.home.held,
        asked.digest,
        1,
        "fit",
        b"x",
        Reason.CONTRACT,
        (f"array '{EVIL}' is not in it",),
        now().isoformat(),
    )
    site.deny(asked.digest, reason=EVIL)
    return asked.digest


def test_every_page_shows_it_as_text(hostile: str, window: Page, page_of: Served) -> None:
    for path in ("/", f"/studies/{hostile}", f"/studies/{hostile}/log", "/held", "/history", "/audit", "/budget"):
        window.goto(page_of.url(path))
        harmless(window)
        if path not in ("/audit", "/budget"):  # the log holds no text of a researcher's
            expect(window.get_by_role("main")).to_contain_text("<script>document.title='owned'</script>")
    shown = window.goto(page_of.url(f"/studies/{hostile}")).text()
    places = ("purpose", "code", "file", "configuration", "metrics", "arrays", "rehearsal", "decision")
    assert shown.count("&lt;img src=x onerror=") >= len(places)


def test_a_log_line_on_its_way_out_is_text_too(hostile: str, window: Page, page_of: Served) -> None:
    window.goto(page_of.url(f"/studies/{hostile}/log"))
    window.get_by_label("First line").fill("1")
    window.get_by_label("Last line").fill("1")
    window.get_by_role("button", name="Show what would leave").click()
    expect(window.get_by_role("heading", name="Send these lines?")).to_be_visible()
    expect(window.get_by_role("main")).to_contain_text(EVIL)
    harmless(window)


def test_what_the_owner_typed_comes_back_as_text(window: Page, page_of: Served) -> None:
    window.goto(page_of.url(f"/studies/{DIGEST}"))
    window.get_by_label("Note to the researcher").fill(EVIL)
    window.get_by_label("Ends on").fill("2099-01-01")
    window.get_by_label("I have read").check()
    window.get_by_role("button", name="Approve exactly this").click()
    expect(window.get_by_label("Note to the researcher")).to_have_value(EVIL)
    harmless(window)


def test_hidden_characters_are_shown(site: Datasite, ada: Identity, window: Page) -> None:
    deliver(site, manifest(name="bidi", purpose="good\u202eevil\u200b"), ada)
    window.reload()
    expect(window.get_by_role("main")).to_contain_text("good⟨U+202E⟩evil⟨U+200B⟩")


def test_names_that_have_a_form_reach_no_page_without_it(
    site: Datasite, ada: Identity, window: Page, page_of: Served
) -> None:
    """A researcher who signs such a manifest all the same, in a job with a proper name."""
    wrong: list[dict[str, object]] = [
        {"name": EVIL},
        {"researcher": f"{EVIL}@uni.org"},
        {"files": {**manifest().files, EVIL: CodeFile(sha256="0" * 64, size=1)}},
        {"dataset": EVIL},
        {"columns": (EVIL,)},
    ]
    for number, change in enumerate(wrong):
        folder = deliver(site, honest := manifest(name=f"odd-{number}"), ada)
        forged = honest.model_copy(update=change)
        (folder / "code" / "manifest.json").write_bytes(forged.canonical())
        (folder / "code" / "manifest.sig").write_text(ada.sign("study-manifest", forged.canonical()))
    window.reload()
    expect(window.get_by_role("heading", name="Waiting for your decision (1)")).to_be_visible()
    harmless(window)
    window.goto(page_of.url(f"/studies/{forged.digest}"))
    expect(window.get_by_role("main")).to_contain_text("There is no study")
    harmless(window)


@contextmanager
def elsewhere(html: str) -> Iterator[tuple[int, list[str]]]:
    """Another user's web server on this machine: its port, and the cookies that it was sent."""
    cookies: list[str] = []

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            cookies.append(self.headers.get("Cookie", ""))
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port, cookies
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_should_anything_get_through_the_browser_runs_and_loads_none_of_it(window: Page, page_of: Served) -> None:
    with elsewhere("") as (port, asked):
        away = f"http://127.0.0.1:{port}/"
        window.evaluate(
            """away => {
                const main = document.querySelector("main"), script = document.createElement("script");
                main.innerHTML += `<img src="${away}x" onerror="document.title='owned'">`;
                main.innerHTML += `<svg onload="document.title='owned'"></svg>`;
                main.innerHTML += `<style>body { display: none }</style><base href="${away}">`;
                script.textContent = "document.title = 'owned'";
                main.append(script);
            }""",
            away,
        )
        window.wait_for_timeout(300)
        assert window.title() == "Studies · Wardround review"
        assert window.evaluate("document.baseURI") == page_of.url("/")
        assert window.evaluate("getComputedStyle(document.body).display") != "none"
        window.evaluate(
            """away => {
                const form = document.createElement("form");
                form.action = away;
                document.body.append(form);
                form.submit();
            }""",
            away,
        )
        window.wait_for_timeout(300)
        assert asked == []
    assert window.url == page_of.url("/")


def test_another_port_of_this_machine_gets_no_cookie_and_decides_nothing(
    site: Datasite, window: Page, page_of: Served
) -> None:
    """It even knows the secret path and the form's token."""
    form = f"""<form method="post" action="{page_of.url(f"/studies/{DIGEST}/deny")}">
        <input name="form_token" value="{page_of.door.form_token}"><input name="seen" value="0">
        <input name="reason" value="x"><button>Win a prize</button></form>"""
    with elsewhere(form) as (port, cookies):
        window.goto(f"http://127.0.0.1:{port}/")
        assert cookies
        assert set(cookies) == {""}
        with window.expect_navigation() as sent:
            window.get_by_text("Win a prize").click()
        assert sent.value.status == 403
        assert sent.value.request.method == "POST"
    assert site.state.decision(DIGEST) is None


def test_no_other_page_frames_it(window: Page, page_of: Served) -> None:
    with elsewhere(f'<iframe src="{page_of.url("/")}"></iframe>') as (port, _):
        window.goto(f"http://127.0.0.1:{port}/")
        window.wait_for_timeout(300)
        framed = window.frames[1]
        assert "Studies" not in framed.content()


def test_a_name_that_was_made_to_point_here_shows_nothing(page_of: Served, browser: Browser) -> None:
    """DNS rebinding, in a browser that holds this server's cookie for that name as well."""
    page_of.enter()
    context = browser.new_context()
    try:
        name, _, value = page_of.cookie.partition("=")
        rebound = f"http://evil.localhost:{page_of.port}"  # Chromium takes it to 127.0.0.1
        context.add_cookies([{"name": name, "value": value, "domain": "evil.localhost", "path": "/"}])
        page = context.new_page()
        assert page.goto(f"{rebound}{page_of.door.at}/").status == 421
        assert "ada@uni.org" not in page.content()
    finally:
        context.close()
