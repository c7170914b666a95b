"""What provisioning leaves on the disk."""

from __future__ import annotations

import json
import os
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from cryptography import x509

from compose import certificates, provision
from compose.certificates import Authority, days_left
from compose.provision import HOSPITALS
from datasites.wire.dictionary import Dictionary


@pytest.fixture
def local(tmp_path: Path) -> Path:
    provision.provision(tmp_path / "local")
    return tmp_path / "local"


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_second_time_changes_nothing(local: Path) -> None:
    before = content(local)
    assert provision.provision(local) == []
    assert content(local) == before


def test_what_is_missing_is_made_again_and_the_rest_stays(local: Path) -> None:
    before = content(local)
    (local / "jupyter.token").unlink()
    assert provision.provision(local) == ["jupyter.token"]
    after = content(local)
    assert after.pop("jupyter.token") != before.pop("jupyter.token")
    assert after == before


def test_files_are_for_one_account_alone(local: Path) -> None:
    files = [path for path in local.rglob("*") if path.is_file()]
    assert len(files) > 15
    for path in files:
        status = path.stat()
        assert status.st_mode & 0o777 == 0o600
        owner = os.getuid() if path.name == "ca.key" else provision.account()
        assert status.st_uid == owner
    assert all(path.stat().st_mode & 0o077 == 0 for path in (local, *local.rglob("*")))


def test_the_containers_never_run_as_root(tmp_path: Path) -> None:
    provision.write_environment("podman", tmp_path / "env")
    lines = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert int(lines["WARDROUND_UID"]) > 0
    assert lines["WARDROUND_SYSTEM_PATHS"] == "unmask=ALL"
    provision.write_environment("docker", tmp_path / "env")
    assert "WARDROUND_SYSTEM_PATHS=systempaths=unconfined" in (tmp_path / "env").read_text()


def test_every_participant_has_keys_of_its_own_and_the_store_knows_all(local: Path) -> None:
    pairs = [json.loads(path.read_text()) for path in sorted((local / "keys").glob("*.json"))]
    assert len(pairs) == 4
    assert len({pair["aws_secret_access_key"] for pair in pairs}) == 4
    known = (local / "keys/store.csv").read_text()
    for pair in pairs:
        assert f'"{pair["aws_access_key_id"]},{pair["aws_secret_access_key"]}"' in known
    assert len({(local / f"pseudonyms/{hospital}.key").read_bytes() for hospital in HOSPITALS}) == 3


def test_tables_fit_the_dictionary_and_are_the_demos(local: Path) -> None:
    described = Dictionary.load(local / "dictionary.toml")
    tables = {hospital: pd.read_csv(local / f"tables/{hospital}.csv") for hospital in HOSPITALS}
    assert all(set(described.columns) <= set(table.columns) for table in tables.values())
    assert all(table["patient_id"].str.startswith(hospital).all() for hospital, table in tables.items())


def test_the_federation_file_names_all_hospitals(local: Path) -> None:
    told = tomllib.loads((local / "federation.toml").read_text())
    assert told["store_options"] == provision.STORE
    assert {name: one["email"] for name, one in told["hospitals"].items()} == {h: provision.email(h) for h in HOSPITALS}


def test_a_certificate_is_renewed_before_it_ends_by_the_same_authority(
    local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(local)
    monkeypatch.setattr(certificates, "_SERVER_DAYS", 20)
    (local / "store/store.pem").unlink()
    provision.provision(local)
    assert days_left((local / "store/store.pem").read_bytes()) < 21
    monkeypatch.undo()
    assert set(provision.provision(local)) == {"store/store.key", "store/store.pem"}
    assert days_left((local / "store/store.pem").read_bytes()) > 390
    assert (local / "ca/ca.pem").read_bytes() == before["ca/ca.pem"]


def test_a_certificate_is_the_servers_alone_and_signed_by_its_authority() -> None:
    authority, other = Authority.create("ours"), Authority.create("another")
    signed, _ = authority.issue(("store",))
    certificate = x509.load_pem_x509_certificate(signed)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate_pem))
    with pytest.raises(ValueError, match="issuer"):
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(other.certificate_pem))
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.not_valid_after_utc < datetime.now(UTC) + timedelta(days=398)
