"""Keys and certificates from files, against a real S3 server with TLS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from datasites.onboarding.authority import CERTIFICATE, Authority, plain
from datasites.settings import FILE, DatasiteSettings, write_settings
from datasites.wire.store import Store
from datasites.wire.store_options import beside
from policies.errors import InvalidInput, Unavailable
from tests.support.s3 import KEY, S3, SECRET, serve_s3


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of two authorities, and keys."""
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority.create(folder / "ours", "ours", b"a long passphrase")
    Authority.create(folder / "others", "another", b"a long passphrase")
    certificate, key = authority.issue("store", "store", ("localhost",))
    (folder / "ca.pem").write_bytes((folder / "ours" / CERTIFICATE).read_bytes())
    (folder / "other.pem").write_bytes((folder / "others" / CERTIFICATE).read_bytes())
    (folder / "store.pem").write_bytes(certificate)
    (folder / "store.key").write_bytes(plain(key))
    (folder / "keys.json").write_text(json.dumps({"aws_access_key_id": KEY, "aws_secret_access_key": SECRET}))
    return folder


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[S3]:
    with serve_s3(place / "root", tls=(place / "store.pem", place / "store.key")) as s3:
        yield s3


def options(server: S3, **files: Path) -> dict[str, Any]:
    plain = {k: v for k, v in server.options.items() if k not in ("aws_access_key_id", "aws_secret_access_key")}
    del plain["client_options"]
    return plain | {name: str(path) for name, path in files.items()}


def test_a_private_authority_and_keys_come_from_files(server: S3, place: Path) -> None:
    store = Store(server.url, options(server, keys_file=place / "keys.json", ca_file=place / "ca.pem"))
    store.put("a/b", b"x")
    assert store.get("a/b") == b"x"


@pytest.mark.parametrize("authority", [None, "other.pem"])
def test_a_store_of_an_unknown_authority_is_not_spoken_to(server: S3, place: Path, authority: str | None) -> None:
    files = {"ca_file": place / authority} if authority else {}
    with pytest.raises(Unavailable):
        Store(server.url, options(server, keys_file=place / "keys.json", **files)).put("a/c", b"x")


def test_wrong_keys_of_a_file_are_refused_by_the_store(server: S3, place: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "keys.json"
    wrong.write_text(json.dumps({"aws_access_key_id": KEY, "aws_secret_access_key": "guessed"}))
    with pytest.raises(Unavailable):
        Store(server.url, options(server, keys_file=wrong, ca_file=place / "ca.pem")).put("a/c", b"x")


def test_a_file_that_cannot_be_used_is_told_and_not_its_content(server: S3, place: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"keys_file .* cannot be read"):
        Store(server.url, options(server, keys_file=tmp_path / "none"))
    (tmp_path / "keys").write_text('["8675309"]')
    with pytest.raises(InvalidInput, match="not a JSON object") as caught:
        Store(server.url, options(server, keys_file=tmp_path / "keys"))
    assert "8675309" not in str(caught.value)
    (tmp_path / "ca").write_text("no certificate")
    with pytest.raises(InvalidInput, match="could not be opened"):
        Store(server.url, options(server, keys_file=place / "keys.json", ca_file=tmp_path / "ca"))


def test_a_datasites_settings_name_the_files(
    server: S3, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_settings(tmp_path, "do@north.org", "North", server.url)
    with (tmp_path / FILE).open("a") as stream:
        stream.write(f'\n[store_options]\nca_file = "{place / "ca.pem"}"\n')
    told = {**options(server), "keys_file": str(place / "keys.json")}
    monkeypatch.setenv("WARDROUND_STORE_OPTIONS", json.dumps(told))
    settings = DatasiteSettings.load(tmp_path)
    Store(settings.store, settings.store_options).put("settings/seen", b"x")
    assert Store(settings.store, settings.store_options).names("settings") == ["settings/seen"]
    assert SECRET not in repr(settings)


def test_a_federation_files_own_folder_is_where_its_files_are(tmp_path: Path) -> None:
    told = {"ca_file": "ca.pem", "keys_file": "/run/secrets/keys", "aws_region": "eu-1"}
    assert beside(tmp_path, told) == {**told, "ca_file": str(tmp_path / "ca.pem")}
