"""`wardround datasite requests`, `show` and `approve` on a real submission; what they print is the packet."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datasites import cli
from datasites.cli import show
from datasites.datasite import Datasite
from datasites.wire.identity import Identity
from tests.support.submissions import CODE, deliver, hospital, manifest

Wardround = Callable[..., tuple[int, str, str]]


@pytest.fixture
def wardround(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], site: Datasite) -> Wardround:
    """Runs the command in this process: (exit code, stdout, stderr)."""
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: object) -> tuple[int, str, str]:
        given = ["wardround", *map(str, arguments), "--home", str(site.home.path)]
        monkeypatch.setattr(sys, "argv", given)
        capsys.readouterr()  # what Syft's client said when it submitted
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def ada(tmp_path: Path) -> Identity:
    return Identity.create("ada@uni.org", tmp_path / "ada.json")


@pytest.fixture
def site(tmp_path: Path, ada: Identity) -> Iterator[Datasite]:
    datasite = hospital(tmp_path, ada)
    deliver(datasite, manifest(), ada)
    yield datasite
    datasite.state.close()


def test_show_prints_the_packet(wardround: Wardround) -> None:
    code, out, _ = wardround("datasite", "show", "demo")
    assert code == 0
    for part in ("In one paragraph", "allows this study", "PRIME = 1_000_003", manifest().digest, "Decide with"):
        assert part in out


def test_show_writes_a_page_that_only_the_owner_may_read(wardround: Wardround, tmp_path: Path) -> None:
    target = tmp_path / "packet.html"
    code, out, err = wardround("datasite", "show", "demo", "--html", target)
    assert (code, out) == (0, "")
    assert "Written to" in err
    assert target.read_text().startswith("<!doctype html>")
    assert target.stat().st_mode & 0o077 == 0
    code, out, _ = wardround("datasite", "show", "demo", "--html", target, "--json")
    assert json.loads(out)["digest"] == manifest().digest
    code, _, err = wardround("datasite", "show", "demo", "--html", "/proc/none/packet.html")
    assert code == 1
    assert "Cannot write" in err


def test_what_the_policy_does_not_allow_cannot_be_approved_by_any_option(wardround: Wardround) -> None:
    assert wardround("policy", "set", "stays", "standard")[0] == 0
    code, _, err = wardround("datasite", "approve", "demo", "--reason", "I want it", "--rounds", "1")
    assert code == 3
    assert "fewer than 50 patients" in err
    assert "wardround policy set stays" in err
    assert wardround("policy", "set", "stays", "teaching")[0] == 0
    code, out, _ = wardround("datasite", "approve", "demo", "--rounds", "1")
    assert (code, "approved" in out) == (0, True)


def test_requests_say_what_the_policy_thinks(site: Datasite, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    show.requests(site.peer_requests(), site.studies(), as_json=True)
    (study,) = json.loads(capsys.readouterr().out)["studies"]
    assert (study["decision"], study["policy"]) == ("waiting", "allows")
    site.set_policy("stays", "strict")
    assert site.studies()["policy"].tolist() == ["does not allow"]
    (site.home.path / "policies" / "stays.toml").write_text("title = ")
    assert site.studies()["policy"].tolist() == ["damaged"]


def test_a_purpose_cannot_write_on_the_terminal(
    site: Datasite, ada: Identity, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    deliver(site, manifest(name="evil", purpose="a\x9b31m\u202e[bold]b"), ada, CODE)
    show.requests(site.peer_requests(), site.studies(), as_json=False)
    out = "".join(capsys.readouterr().out)
    assert "a⟨U+009B⟩31m⟨U+202E⟩[bold]b" in out
    assert not {"\x9b", "\u202e"} & set(out)
