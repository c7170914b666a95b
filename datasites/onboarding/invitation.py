"""One participant's invitation: a single sealed file. Whoever lacks its passphrase can neither read nor forge it.

The file is JSON: a text for people, and the sealed content (`datasites.wire.sealed`). It is no
archive of named files, so it can name no path: what may stand in it is this module's fields, each with its greatest
length, and `joining` decides where each goes.
"""

from __future__ import annotations

import json
import os
import re
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from datasites.onboarding.authority import certificate_name, unlocked
from datasites.wire import sealed
from datasites.wire.files import write_atomically
from datasites.wire.sealed import seal
from policies.errors import InvalidInput, Refused

SUFFIX = ".invitation"
MOST_BYTES = 1024 * 1024
_KIND = "wardround-invitation/1"
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]*")
_READ_ME = (
    "An invitation to {federation} for {email}. On the machine that is to take part: "
    "wardround federation join THIS-FILE. You are asked for the passphrase, which the consortium tells you over the "
    "telephone. Then read the fingerprint that is shown to the consortium. See docs/onboarding.md."
)


def _no_controls(text: str) -> str:
    if not _PRINTABLE.fullmatch(text):
        raise ValueError("characters that no name has")
    return text


Line = Annotated[str, Field(max_length=200), AfterValidator(_no_controls)]
Label = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$")]
Address = Annotated[str, Field(max_length=200), AfterValidator(certificate_name)]
Pem = Annotated[str, Field(max_length=64 * 1024, pattern=r"^[\x0a\x0d\x20-\x7e]+$")]
Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+/=-]{1,200}$")]


class Peer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    email: Address
    name: Line = ""
    fingerprint: Line = ""


class Invitation(BaseModel):
    """`authority`, `certificate`, `key`: PEM. `hospitals` and `researchers`: all participants, by label."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    version: Literal[1] = 1
    federation: Line
    role: Literal["hospital", "researcher"]
    email: Address
    name: Line = ""
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")]
    endpoint: Annotated[str, Field(pattern=r"^https://[A-Za-z0-9.-]{1,253}:[0-9]{1,5}$")]
    access_key: Token
    secret_key: Token
    authority: Pem
    certificate: Pem
    key: Pem
    hospitals: Annotated[dict[Label, Peer], Field(max_length=1000)]
    researchers: Annotated[dict[Label, Peer], Field(max_length=1000)]
    policy: Annotated[str, Field(max_length=64 * 1024)] = ""

    @property
    def store(self) -> str:
        return f"s3://{self.bucket}"

    def checked(self) -> Invitation:
        """Itself. Raises InvalidInput unless the certificate is this participant's, in force, signed by the authority
        that is named, and the key's own."""
        try:
            certificate = x509.load_pem_x509_certificate(self.certificate.encode())
            authorities = x509.load_pem_x509_certificates(self.authority.encode())
        except ValueError:
            raise InvalidInput("The invitation's certificates cannot be read.", "Ask for a new one.") from None
        from datasites.onboarding.consortium import subject

        if subject(certificate) != (self.role, self.email):
            raise InvalidInput(
                f"The certificate is not that of {self.email} as a {self.role}.",
                "Its subject must be OU=hospital or OU=researcher and CN=the address.",
            )
        key = unlocked(self.key.encode(), None, Path("the invitation"))
        if key.public_key() != certificate.public_key():
            raise InvalidInput("The invitation's key is not its certificate's.", "Ask for a new one.")
        chain = x509.load_pem_x509_certificates(self.certificate.encode())
        if not any(_signed(chain[-1], one) for one in authorities):
            raise InvalidInput("The certificate is not signed by the authority beside it.", "Ask for a new one.")
        if certificate.not_valid_after_utc < datetime.now(UTC):
            raise InvalidInput("The certificate has ended.", "Ask for a new invitation.")
        return self

    def seal(self, passphrase: bytes) -> bytes:
        """The file's bytes."""
        about = {"kind": _KIND, "read_me": _READ_ME.format(federation=self.federation, email=self.email)}
        return json.dumps(seal(self.model_dump_json().encode(), passphrase, about), indent=1).encode()

    def write(self, path: Path, passphrase: bytes) -> None:
        write_atomically(path, self.seal(passphrase))


def read(path: Path) -> dict[str, Any]:
    """The file as it is, still sealed; no more is read than allowed. Raises InvalidInput for what is no invitation."""
    try:
        # a pipe or a device would block or never end
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            regular = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
            raw = stream.read(MOST_BYTES + 1) if regular else b""
    except OSError:
        raise InvalidInput(f"The invitation {path} cannot be read.", "Check that it is there.") from None
    try:
        content = json.loads(raw) if len(raw) <= MOST_BYTES else None
    except (ValueError, RecursionError):
        content = None
    names = {"kind", "read_me", *sealed.FIELDS}
    right = isinstance(content, dict) and content.keys() == names and all(isinstance(v, str) for v in content.values())
    if not isinstance(content, dict) or not right or content["kind"] != _KIND:
        raise InvalidInput(f"{path} is not an invitation.", "Ask the consortium for the file again.")
    return dict(content)


def unseal(content: dict[str, Any], passphrase: bytes) -> Invitation:
    """Raises Refused for a wrong passphrase or a changed file, and InvalidInput for a content that cannot be used."""
    opened = sealed.unseal(content, passphrase)
    if opened is None:
        raise Refused(
            "The invitation does not open.", "The passphrase is another one, or the file was changed on its way."
        )
    try:
        return Invitation.model_validate_json(opened).checked()
    except (ValidationError, RecursionError):
        raise InvalidInput("What the invitation holds is not understood.", "Ask for a new one.") from None


def _signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
