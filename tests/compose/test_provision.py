"""What provisioning leaves on the disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from cryptography import x509

from compose import containers, provision
from compose.provision import HOSPITALS, PARTICIPANTS, RESEARCHER
from datasites.onboarding import consortium
from datasites.onboarding import invitation as sealed
from datasites.onboarding.authority import register
from datasites.onboarding.invitation import Invitation
from datasites.wire.dictionary import Dictionary
from policies.errors import Refused


@pytest.fixture(scope="module")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    local = tmp_path_factory.mktemp("provisioned") / "local"
    provision.provision(local)
    return local


@pytest.fixture
def local(provisioned: Path, tmp_path: Path) -> Path:
    return shutil.copytree(provisioned, tmp_path / "local")


def opened(local: Path, label: str) -> Invitation:
    content = sealed.read(local / f"secrets/{label}.invitation")
    return sealed.unseal(content, (local / f"secrets/{label}.invitation-passphrase").read_bytes())


def serial(local: Path, label: str) -> int:
    return x509.load_pem_x509_certificate(opened(local, label).certificate.encode()).serial_number


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_second_time_changes_nothing(local: Path) -> None:
    before = content(local)
    assert provision.provision(local) == []
    assert content(local) == before


def test_what_is_missing_is_made_again_and_the_rest_stays(local: Path) -> None:
    before = content(local)
    (local / "secrets/jupyter.token").unlink()
    assert provision.provision(local) == ["secrets/jupyter.token"]
    after = content(local)
    assert after.pop("secrets/jupyter.token") != before.pop("secrets/jupyter.token")
    assert after == before


def test_files_are_for_one_account_alone_and_the_authoritys_for_no_container(provisioned: Path) -> None:
    files = [path for path in provisioned.rglob("*") if path.is_file()]
    assert len(files) > 30
    assert all(path.stat().st_mode & 0o077 == 0 for path in (provisioned, *provisioned.rglob("*")))
    for path in files:
        seen = path.relative_to(provisioned).parts
        shared = seen[0] in ("secrets", "tables", "dictionary.toml") or seen[:2] == ("consortium", "store")
        assert path.stat().st_uid == (provision.account() if shared else os.getuid()), path
    assert (provisioned / "authority.passphrase").stat().st_uid == os.getuid()
    assert (provisioned / "consortium/ca/ca.key").stat().st_uid == os.getuid()


def test_the_containers_never_run_as_root(tmp_path: Path) -> None:
    provision.write_environment("podman", tmp_path / "env")
    lines = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert int(lines["WARDROUND_UID"]) > 0
    assert lines["WARDROUND_SYSTEM_PATHS"] == "unmask=ALL"
    provision.write_environment("docker", tmp_path / "env")
    assert "WARDROUND_SYSTEM_PATHS=systempaths=unconfined" in (tmp_path / "env").read_text()


def test_every_participant_has_a_certificate_and_secrets_of_its_own(provisioned: Path) -> None:
    for label in PARTICIPANTS:
        invitation = opened(provisioned, label)  # checks whose certificate it is, and what signed it
        assert invitation.role == ("researcher" if label == RESEARCHER else "hospital")
        assert invitation.email == provision.email(label)
        assert invitation.endpoint == "https://store:9443"
        assert set(invitation.hospitals) == set(HOSPITALS)
        assert (provisioned / f"secrets/{label}.passphrase").stat().st_size > 20
    secrets = [path.read_bytes() for path in (provisioned / "secrets").iterdir()]
    assert len(set(secrets)) == len(secrets) == 4 * 3 + 3 + 1


def test_no_secret_opens_anothers_invitation(provisioned: Path) -> None:
    content = sealed.read(provisioned / f"secrets/{HOSPITALS[0]}.invitation")
    for other in (f"{HOSPITALS[0]}.passphrase", f"{HOSPITALS[1]}.invitation-passphrase"):
        with pytest.raises(Refused, match="does not open"):
            sealed.unseal(content, (provisioned / "secrets" / other).read_bytes())


def test_tables_fit_the_dictionary_and_are_the_demos(local: Path) -> None:
    described = Dictionary.load(local / "dictionary.toml")
    tables = {hospital: pd.read_csv(local / f"tables/{hospital}.csv") for hospital in HOSPITALS}
    assert all(set(described.columns) <= set(table.columns) for table in tables.values())
    assert all(table["patient_id"].str.startswith(hospital).all() for hospital, table in tables.items())


def test_certificates_are_renewed_before_they_end_by_the_same_authority(
    local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, label = content(local), HOSPITALS[0]
    old = serial(local, label)
    monkeypatch.setattr(provision, "_RENEW_DAYS", 398)
    assert set(provision.provision(local)) == {
        "consortium/store/store.pem",
        *(f"secrets/{one}.invitation" for one in PARTICIPANTS),
    }
    after = content(local)
    assert serial(local, label) != old
    changed = {"consortium/store/store.pem", f"secrets/{label}.invitation"}
    assert all(after[name] != before[name] for name in changed)
    kept = {"consortium/store/ca.pem", f"secrets/{label}.passphrase", f"secrets/{label}.pseudonyms"}
    assert all(after[name] == before[name] for name in kept)


def test_whom_somebody_has_revoked_is_not_invited_again(local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = HOSPITALS[0]
    consortium.revoke(local / "consortium", gone, (local / "authority.passphrase").read_bytes())
    (local / f"secrets/{HOSPITALS[1]}.invitation-passphrase").unlink()  # cut off between the two
    assert provision.provision(local) == [f"secrets/{HOSPITALS[1]}.invitation"]
    monkeypatch.setattr(provision, "_RENEW_DAYS", 398)
    assert f"secrets/{gone}.invitation" not in provision.provision(local)
    issued = [entry for entry in register(local / "consortium/ca") if entry.name == provision.email(gone)]
    assert [bool(entry.revoked) for entry in issued] == [True]


@pytest.mark.parametrize("name", ["keys/store.csv", "ca/ca.key"])
def test_the_folder_of_an_earlier_release_is_told_and_left_alone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text("of an earlier release")
    monkeypatch.setattr("sys.argv", ["provision"])
    monkeypatch.setattr(provision, "LOCAL", tmp_path)
    assert provision.main() == 1
    assert "Run: make reset" in capsys.readouterr().err
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()] == [name]


def test_what_containers_have_stored_is_not_opened_by_other_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["provision"])
    monkeypatch.setattr(provision, "LOCAL", tmp_path / "local")
    monkeypatch.setattr(containers, "stored", lambda: ["wardround_store-objects"])
    assert provision.main() == 1
    assert "make reset" in capsys.readouterr().err
    assert not (tmp_path / "local").exists()
