"""The newest list of revoked certificates, brought to a store's front and heeded there.

The list is signed by the authority, so the way it comes by need not be trusted: a mounted folder, a web server, a copy.
It is never replaced by an older one, which would let revoked participants in again.
"""

from __future__ import annotations

import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from datasites.onboarding.names import CERTIFICATE, REVOKED
from datasites.wire.files import write_atomically
from policies.errors import InvalidInput, Refused, Unavailable

_MOST_BYTES, _SECONDS = 8 * 1024 * 1024, 30.0


@dataclass(frozen=True)
class Fetched:
    """changed: whether it was another list than the one that was there. ends: when it has to be signed anew."""

    changed: bool
    revoked: int
    ends: datetime


def fetch(front: Path, source: str) -> Fetched:
    """Puts the list that `source` (a file, or an http or https address) holds into the folder `front` of a front, and
    runs its `reload.sh` where the list is a new one.

    Raises Unavailable where it cannot be got or heeded, InvalidInput for what is no list, Refused for one that the
    authority in `front` has not signed, that has ended, or that is older than the one there. Then nothing was changed.
    """
    content = _read(source)
    there = front / REVOKED
    new = _checked(content, _authority(front))
    old = _list(there.read_bytes()) if there.exists() else None
    if old and _age(new) < _age(old):
        raise Refused(
            f"The list from {source} is older than the one in {there}.",
            "Find out why: it would let revoked participants in again.",
        )
    changed = old is None or content != there.read_bytes()
    if changed:
        write_atomically(there, content)
    if not _heeded(front).exists() or _heeded(front).read_bytes() != content:
        _reload(front)
        write_atomically(_heeded(front), content)
    return Fetched(changed, sum(1 for _ in new), _ends(new))


def _heeded(front: Path) -> Path:
    """The list that the front was last told of: a run that was cut off before `reload.sh` is made good by the next."""
    return front / f"{REVOKED}.heeded"


def _read(source: str) -> bytes:
    try:
        if source.startswith(("http://", "https://")):
            with urllib.request.urlopen(source, timeout=_SECONDS) as answer:  # noqa: S310 # looked at
                content: bytes = answer.read(_MOST_BYTES + 1)
        else:
            with Path(source).expanduser().open("rb") as stream:
                content = stream.read(_MOST_BYTES + 1)
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise Unavailable(f"The list of revoked certificates at {source} cannot be read: {error}.") from None
    if len(content) > _MOST_BYTES:
        raise InvalidInput(f"What is at {source} is too large for a list of revoked certificates.")
    return content


def _list(content: bytes) -> x509.CertificateRevocationList:
    try:
        return x509.load_pem_x509_crl(content)
    except ValueError:
        raise InvalidInput("This is no list of revoked certificates (PEM).", "Give the authority's crl.pem.") from None


def _authority(front: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates((front / CERTIFICATE).read_bytes())
    except (OSError, ValueError):
        raise InvalidInput(
            f"There is no authority's certificate in {front}.", "Give the folder of the store's front."
        ) from None


def _checked(content: bytes, authorities: list[x509.Certificate]) -> x509.CertificateRevocationList:
    if content.count(b"-----BEGIN X509 CRL-----") != 1:
        raise InvalidInput("This is not one list of revoked certificates.", "Put several together by hand.")
    found = _list(content)
    for one in authorities:
        public = one.public_key()
        known = isinstance(public, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
        if known and found.issuer == one.subject and found.is_signature_valid(public):  # type: ignore[arg-type]
            break
    else:
        raise Refused("The list is not signed by the authority of this store.", "Do not use it.")
    if _ends(found) < datetime.now(UTC):
        raise Refused(
            f"The list ended on {_ends(found):%Y-%m-%d}; with it the front lets nobody in.",
            "Have it signed anew: wardround federation renew-store.",
        )
    return found


def _ends(found: x509.CertificateRevocationList) -> datetime:
    return found.next_update_utc or datetime.max.replace(tzinfo=UTC)


def _age(found: x509.CertificateRevocationList) -> tuple[int, datetime]:
    """Later lists compare greater."""
    try:
        number = found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        number = 0
    return number, found.last_update_utc


def _reload(front: Path) -> None:
    script = front / "reload.sh"
    try:
        subprocess.run([str(script.resolve())], check=True, capture_output=True, timeout=_SECONDS)
    except (OSError, subprocess.SubprocessError):
        raise Unavailable(
            f"{script} failed: the list is in place, but the front does not know of it.",
            "Is the front running? Run it by hand to see why, then this command again.",
        ) from None
