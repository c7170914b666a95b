from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from datasites import cli
from datasites.onboarding import authority
from datasites.onboarding.authority import Authority, register
from policies.errors import InvalidInput

PASSPHRASE = b"a long passphrase"
Ca = Callable[..., tuple[int, str]]


@pytest.fixture
def ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ca:
    """Runs `wardround ca` on an authority of its own: (exit code, what it said)."""
    monkeypatch.setenv("WARDROUND_CA_PASSPHRASE", PASSPHRASE.decode())
    monkeypatch.setenv("WARDROUND_PASSPHRASE", "the participant's own")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["wardround", "ca", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), " ".join((said.out + said.err).split())

    return run


def revoked(path: Path) -> set[int]:
    return {one.serial_number for one in x509.load_pem_x509_crl(path.read_bytes())}


def test_from_the_root_to_a_renewed_certificate(ca: Ca, tmp_path: Path) -> None:
    assert ca("init", "--name", "Consortium")[0] == 0
    assert b"ENCRYPTED" in (tmp_path / "ca/ca.key").read_bytes()
    assert (tmp_path / "ca/ca.key").stat().st_mode & 0o077 == 0
    assert ca("issue", "do@north.org")[0] == 0
    root = x509.load_pem_x509_certificate((tmp_path / "ca/ca.pem").read_bytes())
    first = x509.load_pem_x509_certificate((tmp_path / "do@north.org.pem").read_bytes())
    first.verify_directly_issued_by(root)
    key = serialization.load_pem_private_key((tmp_path / "do@north.org.key").read_bytes(), b"the participant's own")
    assert key.public_key() == first.public_key()
    assert ca("renew", "do@north.org")[0] == 0
    second = x509.load_pem_x509_certificate((tmp_path / "do@north.org.pem").read_bytes())
    assert second.subject == first.subject
    assert second.public_key() != first.public_key()
    assert "1 revoked" in ca("revoke", "do@north.org", "--older")[1]
    assert revoked(tmp_path / "ca/crl.pem") == {first.serial_number}
    assert "1 revoked" in ca("revoke", "do@north.org")[1]
    assert revoked(tmp_path / "ca/crl.pem") == {first.serial_number, second.serial_number}
    code, said = ca("list")
    assert code == 0
    assert said.count("do@north.org") == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("issue", "north"), 1, "not an e-mail address"),
        (("issue", "do+x@north.org"), 1, "cannot be the name on a certificate"),
        (("issue", "do@north.org", "--role", "king"), 1, "'king' is no role"),
        (("issue", "store", "--role", "store"), 1, "--host belongs to the store's certificate"),
        (("renew", "do@nobody.org"), 1, "No certificate was issued to 'do@nobody.org'"),
        (("revoke", "do@nobody.org"), 1, "No certificate was issued to 'do@nobody.org'"),
        (("issue", "do@north.org", "--csr", "none.csr"), 1, "not a certificate request"),
        (("init", "--name", "again"), 3, "There is an authority"),
        (("issue", "do@north.org", "--ca", "elsewhere"), 1, "There is no authority in elsewhere"),
    ],
)
def test_a_mistake_is_told_in_one_sentence_and_issues_nothing(
    ca: Ca, words: tuple[str, ...], code: int, said: str
) -> None:
    ca("init", "--name", "Consortium")
    ended, told = ca(*words)
    assert ended == code
    assert said in told
    assert "Traceback" not in told
    assert register(Path("ca")) == []
    assert not list(Path().glob("*.key"))


def test_a_wrong_passphrase_opens_nothing(ca: Ca, monkeypatch: pytest.MonkeyPatch) -> None:
    ca("init", "--name", "Consortium")
    monkeypatch.setenv("WARDROUND_CA_PASSPHRASE", "not the passphrase")
    code, said = ca("issue", "do@north.org")
    assert (code, "cannot be opened" in said) == (1, True)
    monkeypatch.setenv("WARDROUND_CA_PASSPHRASE", "short")
    code, said = ca("init", "--name", "Other", "--ca", "other")
    assert (code, "too short" in said) == (1, True)
    assert not Path("other").exists()


def test_a_key_may_stay_where_it_was_made(ca: Ca, tmp_path: Path) -> None:
    ca("init", "--name", "Consortium")
    key = ec.generate_private_key(ec.SECP256R1())
    # whatever a request claims to be: the certificate says what the authority was told
    claimed = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "do@south.org")])
    basic = x509.BasicConstraints(ca=True, path_length=None)
    asked = (
        x509.CertificateSigningRequestBuilder(claimed).add_extension(basic, critical=True).sign(key, hashes.SHA256())
    )
    (tmp_path / "north.csr").write_bytes(asked.public_bytes(serialization.Encoding.PEM))
    assert ca("issue", "do@north.org", "--csr", "north.csr")[0] == 0
    made = x509.load_pem_x509_certificate((tmp_path / "do@north.org.pem").read_bytes())
    assert made.public_key() == key.public_key()
    assert made.subject.rfc4514_string() == "CN=do@north.org,OU=hospital"
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not (tmp_path / "do@north.org.key").exists()


def test_what_was_issued_is_on_record_before_it_is_handed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a certificate that nobody can revoke would be out after a full disk."""
    made = Authority.create(tmp_path / "ca", "c", PASSPHRASE)

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(authority, "write_atomically", full)
    with pytest.raises(OSError, match="No space"):
        made.issue("do@north.org", "hospital")
    monkeypatch.undo()
    made.issue("do@north.org", "hospital")
    assert len(made.entries()) == 1
    (tmp_path / "ca/register.json").write_text(json.dumps([{"serial": "../x"}]))
    with pytest.raises(InvalidInput, match="cannot be read"):
        made.entries()


def test_the_list_of_revoked_outlives_a_certificate_and_is_renewed(tmp_path: Path) -> None:
    made = Authority.create(tmp_path / "ca", "c", PASSPHRASE)
    first = x509.load_pem_x509_crl((tmp_path / "ca/crl.pem").read_bytes())
    assert first.next_update_utc > datetime.now(UTC) + timedelta(days=397)
    made.refresh_list()
    again = x509.load_pem_x509_crl((tmp_path / "ca/crl.pem").read_bytes())
    numbers = [one.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number for one in (first, again)]
    assert numbers[1] > numbers[0]
    assert again.is_signature_valid(made.certificate.public_key())
