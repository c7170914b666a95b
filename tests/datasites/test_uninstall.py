from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from datasites.audit.heads import OwnHeads
from datasites.audit.verify import verify
from datasites.datasite import Datasite
from datasites.uninstall import own_objects, remove
from datasites.wire import keys
from datasites.wire.parts import PART_BYTES
from datasites.wire.store import Store
from policies.errors import Refused
from tests.support.federation import DICTIONARY, PATIENCE, POLICY, WARDROUND, stays

KILLED = """
import os, sys
from pathlib import Path
from datasites import uninstall
real = uninstall.shutil.rmtree
# studies and keys are gone, other folders not yet
uninstall.shutil.rmtree = lambda path: real(path) if path.name == "studies" else os.kill(os.getpid(), 9)
uninstall.remove(Path(sys.argv[1]))
"""
EMAIL, STUDY = "do@north.org", "a" * 64


@pytest.fixture
def site(tmp_path: Path) -> Datasite:
    """A datasite with keys, books, a study's leavings and objects in the store; no agent runs."""
    table = tmp_path / "elsewhere.csv"
    stays(1, 40).to_csv(table, index=False)
    made = Datasite.create(tmp_path / "home", EMAIL, f"file://{tmp_path}/store", name="North")
    made.set_policy("stays", POLICY)
    made.publish(DICTIONARY, table)
    made.home.pseudonym_secret()
    (made.home.study(STUDY) / "study.log").write_text("a row of a patient")
    store = Store(made.settings.store)
    OwnHeads(made.identity, made.state.audit).publish(store)
    store.put(keys.round_up(STUDY, 1, EMAIL), bytes(PART_BYTES + 1))  # its answer, in parts
    store.put(keys.gossip_model(STUDY, EMAIL, "do@south.org", 1), b"what it told a neighbour")
    store.put(keys.round_up(STUDY, 1, "do@south.org"), b"another's answer")
    store.put(keys.round_down(STUDY, EMAIL, 2), b"a question for it")
    store.put(keys.round_down(STUDY, "do@south.org", 2), b"a question for another")
    store.put(f"{keys.participant('do@south.org')}/bundle.json", b"{}")
    store.put(f"{keys.box(EMAIL, 'inbox', 'ada@uni.org')}/x", b"to it")
    made.state.close()
    return made


def run(*argv: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*WARDROUND, *argv], input=answer, capture_output=True, text=True, timeout=PATIENCE)


def test_nothing_private_stays_and_nothing_of_others_goes(site: Datasite, tmp_path: Path) -> None:
    home, file = site.home.path, tmp_path / "audit.jsonl"
    refused = run("uninstall", "--home", str(home), answer="do@other.org\n")
    assert refused.returncode == 1
    assert (home / "identity.json").exists()
    done = run("uninstall", "--home", str(home), "--export", str(file), answer=f"{EMAIL}\n")
    assert done.returncode == 0, done.stderr
    assert not home.exists()
    store = Store(site.settings.store)
    assert own_objects(store, EMAIL, [STUDY]) == []
    left = [
        path.relative_to(tmp_path / "store").as_posix() for path in (tmp_path / "store").rglob("*") if path.is_file()
    ]
    assert sorted(left) == [
        "participants/do@south.org/bundle.json",
        f"rounds/{STUDY}/down/do@south.org/000002",
        f"rounds/{STUDY}/up/000001/do@south.org",
    ]
    everything = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "elsewhere.csv"]
    assert not [path for path in everything if b"a row of a patient" in path.read_bytes()]
    said = " ".join(done.stdout.split())
    assert f"the table stays: {tmp_path / 'elsewhere.csv'}" in said
    assert "solid-state disk" in said
    assert (tmp_path / "elsewhere.csv").exists()
    assert verify(file, fingerprint=site.fingerprint).good


def test_the_export_is_not_written_into_what_is_removed(site: Datasite) -> None:
    done = run("uninstall", "--yes", "--home", str(site.home.path), "--export", str(site.home.path / "x"))
    assert done.returncode == 1
    assert "would be removed with the datasite" in " ".join(done.stderr.split())
    assert (site.home.path / "identity.json").exists()


def test_a_datasite_that_serves_is_not_removed(site: Datasite) -> None:
    with site.home.alone(), pytest.raises(Refused, match="agent is serving"):
        remove(site.home.path)
    assert (site.home.path / "identity.json").exists()


def test_what_kill_9_cut_off_is_gone_on_with(site: Datasite) -> None:
    home = site.home.path
    done = subprocess.run([sys.executable, "-c", KILLED, str(home)], timeout=PATIENCE)
    assert done.returncode == -9
    assert not (home / "identity.json").exists()
    assert (home / "datasite.toml").exists()
    assert remove(home).objects == 0
    assert not home.exists()


def test_a_store_that_cannot_be_reached_is_told(site: Datasite) -> None:
    (site.home.path / "datasite.toml").write_text(
        f'email = "{EMAIL}"\nstore = "s3://bucket"\n[store_options]\naws_endpoint = "http://127.0.0.1:9"\n'
        'aws_allow_http = "true"\nkeys_file = "/nowhere"\n'
    )
    done = remove(site.home.path)
    assert done.left is None
    assert "keys_file of the store: /nowhere" in done.elsewhere
    assert not site.home.path.exists()
