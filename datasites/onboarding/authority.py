"""A consortium's own certificate authority: one folder, its root key under a passphrase.

| file | what |
|---|---|
| ca.key | the root key (PKCS8, encrypted); the one file that must never leave its machine |
| ca.pem | the root certificate, for everybody |
| crl.pem | the list of revoked certificates, for the store's front |
| register.json | every certificate that was ever issued |
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from datasites.onboarding.names import (
    CERTIFICATE,
    CERTIFICATE_DAYS,
    KEY,
    LIST_DAYS,
    REGISTER,
    REVOKED,
    ROOT_DAYS,
)
from datasites.wire.files import private_folder, write_atomically
from datasites.wire.identity import check_email
from policies.errors import InvalidInput, Refused

Role = Literal["hospital", "researcher", "store"]
_CLOCKS = timedelta(minutes=10)  # by which participants' clocks may be behind
_PEM = serialization.Encoding.PEM


class Entry(BaseModel):
    """One certificate. `serial` is hexadecimal; times are in UTC."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    serial: Annotated[str, Field(pattern=r"^[0-9a-f]{1,40}$")]
    name: str
    role: Role
    issued: datetime
    ends: datetime
    revoked: datetime | None = None


_ENTRIES = TypeAdapter(list[Entry])


class Authority:
    """Opened with the root key's passphrase; every change is on the disk when a method returns."""

    def __init__(self, folder: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self.folder, self._key, self.certificate = folder, key, certificate

    @classmethod
    def create(cls, folder: Path, name: str, passphrase: bytes) -> Authority:
        """Raises Refused where there is one already."""
        if (folder / KEY).exists():
            raise Refused(f"There is an authority in {folder} already.", "Choose another folder.")
        private_folder(folder)
        key = ec.generate_private_key(ec.SECP384R1())
        called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signs = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            builder(called, called, key.public_key(), ROOT_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(signs, critical=True)
            .add_extension(identifier, critical=False)
            .sign(key, hashes.SHA384())
        )
        made = cls(folder, key, certificate)
        write_atomically(folder / CERTIFICATE, certificate.public_bytes(_PEM))
        made._write([])
        write_atomically(folder / KEY, locked(key, passphrase))  # last, as it makes the folder an authority
        return made

    @classmethod
    def open(cls, folder: Path, passphrase: bytes) -> Authority:
        """Raises InvalidInput for a wrong passphrase, or where there is none."""
        try:
            certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
            pem = (folder / KEY).read_bytes()
        except (OSError, ValueError):
            raise InvalidInput(f"There is no authority in {folder}.", "Run: wardround ca init") from None
        return cls(folder, unlocked(pem, passphrase, folder / KEY), certificate)

    def entries(self) -> list[Entry]:
        return register(self.folder)

    def issue(
        self, name: str, role: Role, names: Sequence[str] = (), days: float = CERTIFICATE_DAYS
    ) -> tuple[bytes, ec.EllipticCurvePrivateKey]:
        """(certificate as PEM, key) of a participant (`name` is its address) or of the store.

        names: under which the store is reached, host names or addresses; only for the store.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        return self.sign(name, role, key.public_key(), names, days), key

    def sign(
        self,
        name: str,
        role: Role,
        public: ec.EllipticCurvePublicKey,
        names: Sequence[str] = (),
        days: float = CERTIFICATE_DAYS,
    ) -> bytes:
        """A certificate (PEM) for a key that its owner made. It is on record before it is handed out."""
        called = name if role == "store" else certificate_name(name)
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role),
                x509.NameAttribute(NameOID.COMMON_NAME, called),
            ]
        )
        server = role == "store"
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        others: list[x509.GeneralName] = [_host(one) for one in names] if server else [x509.RFC822Name(called)]
        signer = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        certificate = (
            builder(subject, self.certificate.subject, public, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(True, False, False, False, False, False, False, False, False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName(others), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer), critical=False)
            .sign(self._key, hashes.SHA384())
        )
        entry = Entry(
            serial=f"{certificate.serial_number:x}",
            name=called,
            role=role,
            issued=_now(),
            ends=certificate.not_valid_after_utc,
        )
        self._write([*self.entries(), entry])
        return certificate.public_bytes(_PEM)

    def role_of(self, name: str) -> Role:
        """Of the newest certificate of that name. Raises InvalidInput where there is none."""
        return self._of(name)[-1].role

    def revoke(self, name: str, *, keep_newest: bool = False) -> list[str]:
        """Revokes the certificates of a name that are in force; returns their serials, and renews the list.

        keep_newest: after a renewal, only the ones before it.
        """
        of_name = self._of(name)
        gone = {one.serial for one in (of_name[:-1] if keep_newest else of_name) if not one.revoked}
        if not gone and not keep_newest:
            raise Refused(f"Every certificate of {name} is revoked already.")
        now = _now()
        self._write([e.model_copy(update={"revoked": now}) if e.serial in gone else e for e in self.entries()])
        return sorted(gone)

    def refresh_list(self) -> None:
        """Signs the list of revoked certificates anew, as fronts accept nobody when it has ended."""
        self._write(self.entries())

    def _of(self, name: str) -> list[Entry]:
        found = [one for one in self.entries() if one.name == name.strip().lower()]
        if not found:
            raise InvalidInput(f"No certificate was issued to {name!r}.", "See: wardround ca list")
        return found

    def _write(self, entries: Iterable[Entry]) -> None:
        kept = list(entries)
        write_atomically(self.folder / REGISTER, _ENTRIES.dump_json(kept, indent=1))
        now = _now()
        signer = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        building = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - _CLOCKS)
            .next_update(now + timedelta(days=LIST_DAYS))
            .add_extension(x509.CRLNumber(int(datetime.now(UTC).timestamp() * 1e6)), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer), critical=False)
        )
        for one in kept:
            if one.revoked:
                building = building.add_revoked_certificate(
                    x509.RevokedCertificateBuilder()
                    .serial_number(int(one.serial, 16))
                    .revocation_date(one.revoked)
                    .build()
                )
        write_atomically(self.folder / REVOKED, building.sign(self._key, hashes.SHA384()).public_bytes(_PEM))


def register(folder: Path) -> list[Entry]:
    """All that an authority has issued, oldest first; needs no passphrase."""
    try:
        return _ENTRIES.validate_python(json.loads((folder / REGISTER).read_bytes()), strict=False)
    except (OSError, ValueError, ValidationError):
        raise InvalidInput(f"The register of the authority in {folder} cannot be read.", "Restore a backup.") from None


def certificate_name(email: str) -> str:
    """The address as a certificate carries it. Raises InvalidInput for one that the front could not compare."""
    address = check_email(email)
    if set(address) & set("+%"):
        raise InvalidInput(
            f"{address} cannot be the name on a certificate.", "Use an address without + and %, as a role's of its own."
        )
    return address


def locked(key: ec.EllipticCurvePrivateKey, passphrase: bytes) -> bytes:
    """PKCS8 PEM under a passphrase."""
    protection = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, protection)


def unlocked(pem: bytes, passphrase: bytes | None, path: Path) -> ec.EllipticCurvePrivateKey:
    """Raises InvalidInput; `path` is only named in it."""
    try:
        key = serialization.load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidInput(f"The key in {path} cannot be opened.", "Check the passphrase.") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InvalidInput(f"The key in {path} is not an elliptic-curve key.")
    return key


def plain(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS8 PEM without protection: for a server that starts by itself."""
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 in groups, to be compared over the telephone."""
    text = certificate.fingerprint(hashes.SHA256()).hex()[:32]
    return " ".join(text[i : i + 4] for i in range(0, 32, 4))


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, days: float
) -> x509.CertificateBuilder:
    """A certificate's beginning: who, by whom, which key, and from ten minutes ago on for so many days."""
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS)
        .not_valid_after(now + timedelta(days=days))
    )
