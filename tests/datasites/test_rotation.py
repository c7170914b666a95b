from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasites.audit.entry import Kind
from datasites.audit.export import export
from datasites.audit.heads import OwnHeads
from datasites.audit.verify import verify
from datasites.datasite import Datasite
from datasites.rotation import finish
from datasites.wire import successions
from datasites.wire.identity import Identity, is_sealed
from datasites.wire.passphrase import VARIABLE
from datasites.wire.store import Store
from policies.errors import Refused

# dies with new keys in a draft: before the audit log knows of them, or after
KILLED = """
import os, sys
from datasites import rotation
from datasites.datasite import Datasite
from datasites.audit.log import AuditLog
dies = lambda *_, **__: os.kill(os.getpid(), 9)
if sys.argv[2] == "before":
    AuditLog.add = dies
else:
    rotation._put_in_place = dies
Datasite(sys.argv[1]).rotate_keys()
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Datasite]:
    made = Datasite.create(tmp_path / "home", "do@north.org", f"file://{tmp_path}/store")
    yield made
    made.state.close()


def replaced(site: Datasite) -> list[dict[str, object]]:
    return [entry for entry in site.state.audit.entries() if entry["kind"] == Kind.KEYS_REPLACED]


def test_an_export_from_before_and_after_verifies_with_any_of_the_fingerprints(site: Datasite, tmp_path: Path) -> None:
    OwnHeads(site.identity, site.state.audit).sign()
    seen = [site.fingerprint]
    for _ in range(2):
        done = site.rotate_keys()
        assert (done.before, done.after, done.shown) == (seen[-1], site.fingerprint, True)
        seen.append(done.after)
    export(site.identity, site.state.audit, tmp_path / "log")
    for fingerprint in seen:
        assert verify(tmp_path / "log", fingerprint=fingerprint).good
    other = Identity.create("do@north.org", tmp_path / "other.json").public.fingerprint
    assert not verify(tmp_path / "log", fingerprint=other).good
    assert len(successions.shown(Store(site.settings.store), "do@north.org")) == 2
    assert [entry["before"] for entry in replaced(site)] == seen[:2]


def test_an_export_with_a_statement_taken_out_does_not_verify(site: Datasite, tmp_path: Path) -> None:
    OwnHeads(site.identity, site.state.audit).sign()
    first = site.fingerprint
    site.rotate_keys()
    file = tmp_path / "log"
    export(site.identity, site.state.audit, file)
    head, rest = file.read_bytes().split(b"\n", 1)
    import json

    from datasites.wire.canonical import canonical_json

    content = json.loads(head)
    content["keys"] = content["keys"]["document"]
    file.write_bytes(canonical_json(content) + b"\n" + rest)
    assert not verify(file, fingerprint=first).good
    assert not verify(file).good


@pytest.mark.parametrize("when", ["before", "after"])
def test_kill_9_leaves_the_old_keys_or_the_new_ones_and_never_two(site: Datasite, when: str) -> None:
    first, home = site.fingerprint, site.home
    done = subprocess.run([sys.executable, "-c", KILLED, str(home.path), when], timeout=60)
    assert done.returncode == -9
    draft = home.path / "identity.next.json"
    assert draft.exists()
    assert len(replaced(site)) == (when == "after")
    if when == "after":
        with pytest.raises(Refused, match="are in place now"):
            site.rotate_keys()
    else:
        assert not finish(home, "do@north.org", site.state.audit)
    assert not draft.exists()
    now = Identity.load("do@north.org", home.keys)
    assert (now.public.fingerprint == first) is (when == "before")
    assert len(now.successions) == len(replaced(site))
    assert stat.S_IMODE(home.keys.stat().st_mode) == 0o600


def test_new_keys_lie_under_the_passphrase_of_the_old_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "a long passphrase")
    site = Datasite.create(
        tmp_path / "home", "do@north.org", f"file://{tmp_path}/store", passphrase=b"a long passphrase"
    )
    try:
        site.rotate_keys()
        assert is_sealed(site.home.keys)
        assert b"keys_jwk" not in site.home.keys.read_bytes()
        assert len(site.identity.older) == 1
    finally:
        site.state.close()
