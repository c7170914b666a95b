"""A small certificate authority for the store's TLS, by `cryptography`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from datasites.onboarding.authority import builder, plain

_AUTHORITY_DAYS, _SERVER_DAYS = 3650, 397  # browsers and their like refuse servers' certificates of more days


class Authority:
    """From its key and its certificate, both PEM."""

    def __init__(self, key_pem: bytes, certificate_pem: bytes) -> None:
        self.key_pem, self.certificate_pem = key_pem, certificate_pem
        self._key = serialization.load_pem_private_key(key_pem, None)
        self._certificate = x509.load_pem_x509_certificate(certificate_pem)

    @classmethod
    def create(cls, name: str) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)  # signs certificates, lists
        built = (
            builder(called, called, key.public_key(), _AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(plain(key), built.public_bytes(serialization.Encoding.PEM))

    def issue(self, names: Sequence[str]) -> tuple[bytes, bytes]:
        """(certificate, key) of a server that goes by these names in the network, both PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        signer = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        built = (
            builder(called, self._certificate.subject, key.public_key(), _SERVER_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer), critical=False)
            .sign(self._key, hashes.SHA256())  # type: ignore[arg-type]
        )
        return built.public_bytes(serialization.Encoding.PEM), plain(key)


def days_left(certificate_pem: bytes) -> float:
    """Below 0 when it has ended."""
    ends = x509.load_pem_x509_certificate(certificate_pem).not_valid_after_utc
    return (ends - datetime.now(UTC)) / timedelta(days=1)
