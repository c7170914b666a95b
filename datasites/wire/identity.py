"""Who a participant is: one Ed25519 signing key and two X25519 keys, in Syft's own key file and envelope format.

The same file serves Syft (envelopes, key bundles) and us (signatures over manifests and decisions), so that there
is one fingerprint to compare. Signatures carry a context, so that one made for a purpose is worthless for another.
"""

from __future__ import annotations

import base64
import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import syft_crypto_python as syc
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from datasites.wire import chunked, sealed
from datasites.wire.files import write_atomically
from datasites.wire.passphrase import passphrase as passphrase_of
from datasites.wire.pieces import Pieces
from datasites.wire.spool import MEMORY, Buffer, Spool
from policies.errors import InvalidInput, Refused, WardroundError

_SEALED = "wardround-keys/1"
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_EMAIL = re.compile(
    r"[a-z0-9][a-z0-9._%+-]{0,63}@[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+"
)


def check_email(email: str) -> str:
    """The address in lower case. Raises InvalidInput for what is not a plain address."""
    address = email.strip().lower()
    if not _EMAIL.fullmatch(address) or ".." in address or len(address) > 200:
        raise InvalidInput(f"{email!r} is not an e-mail address.", "Use one like name@hospital.org.")
    return address


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _payload(context: str, payload: bytes) -> bytes:
    return b"wardround/1/" + context.encode() + b"\0" + payload


def _verified(document: dict[str, Any], context: str, payload: bytes, signature: str) -> bool:
    key = Ed25519PublicKey.from_public_bytes(_bytes(str(document["verificationMethod"][0]["publicKeyJwk"]["x"])))
    try:
        key.verify(_bytes(signature), _payload(context, payload))
    except (InvalidSignature, ValueError):
        return False
    return True


def _keys_are_signed(document: dict[str, Any]) -> bool:
    try:
        bundle = syc.SyftPublicKeyBundle.from_did_document(document)
        return bool(bundle.verify_signatures())
    except Exception:  # the native library raises its own undeclared types for malformed documents
        return False


@dataclass(frozen=True)
class Retired:
    """Public keys that were replaced, by this signed statement (`successions.SignedSuccession`, as JSON)."""

    statement: dict[str, Any]

    @property
    def document(self) -> dict[str, Any]:
        return dict(self.statement["succession"]["old"])

    @property
    def until(self) -> int:
        """How many entries the participant's audit log had then; 0 for who keeps none."""
        return int(self.statement["succession"]["log_size"])


@dataclass(frozen=True)
class PublicIdentity:
    """A participant's public keys, as a DID document (what Syft calls a public encryption bundle).

    earlier: the keys it had before, oldest first. They open no message; what was signed by them stays signed.
    """

    email: str
    document: dict[str, Any]
    earlier: tuple[Retired, ...] = ()

    @classmethod
    def parse(cls, email: str, document: object) -> PublicIdentity:
        """Raises Refused unless the document names `email` and its keys are signed by its own identity key."""
        if isinstance(document, dict) and document.get("identity") == email and _keys_are_signed(document):
            return cls(email, document)
        raise Refused(f"The public keys published for {email} are not valid.", "Ask them to publish their keys again.")

    @cached_property
    def bundle(self) -> Any:
        """The document as the native library's object."""
        return syc.SyftPublicKeyBundle.from_did_document(self.document)

    @property
    def fingerprint(self) -> str:
        """128 bits of the identity key's hash in eight groups, to be compared over the telephone or on paper."""
        text = str(self.bundle.identity_fingerprint())[:32]
        return " ".join(text[i : i + 4] for i in range(0, 32, 4))

    def verify(self, context: str, payload: bytes, signature: str) -> bool:
        """Whether `signature` was made by this identity over `payload` for `context`."""
        return _verified(self.document, context, payload, signature)

    def signed(self, context: str, payload: bytes, signature: str, size: int | None = None) -> bool:
        """The same for a record, which may be of the time of this identity's earlier keys. size: of the audit log that
        it is about; earlier keys sign for no log that is longer than it was when they were replaced."""
        if self.verify(context, payload, signature):
            return True
        good = (one.document for one in self.earlier if size is None or size <= one.until)
        return any(_verified(document, context, payload, signature) for document in good)

    def as_of(self, retired: Retired) -> PublicIdentity:
        """This participant as it was with those keys."""
        return PublicIdentity(self.email, retired.document, self.earlier[: self.earlier.index(retired)])


def same_fingerprint(left: str, right: str) -> bool:
    """Compares fingerprints as people type them: case, spaces and colons do not count."""
    return re.sub(r"[\s:-]", "", left).lower() == re.sub(r"[\s:-]", "", right).lower()


def is_sealed(path: Path) -> bool:
    """Whether there is a key file, and it is under a passphrase."""
    try:
        return bool(json.loads(path.read_bytes())["kind"] == _SEALED)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def reseal(path: Path, old: bytes | None, new: bytes) -> None:
    """Puts a key file under another passphrase, or under a first one. It may be under the new one already.

    Raises InvalidInput where `old` does not open it, and changes nothing then.
    """
    content = path.read_bytes()
    if is_sealed(path):
        document = json.loads(content)
        if sealed.unseal(document, new) is not None:
            return
        content = _opened(document, path, old or b"")
    write_atomically(path, json.dumps(sealed.seal(content, new, {"kind": _SEALED}), indent=1).encode())


def _opened(document: dict[str, Any], path: Path, passphrase: bytes) -> bytes:
    plain = sealed.unseal(document, passphrase)
    if plain is None:
        raise InvalidInput(f"The key file {path} does not open.", "Check the passphrase; or restore it from a backup.")
    return plain


class Identity:
    """A participant's private keys, kept in a file that only its owner may read, under a passphrase if wished.

    successions: the statements (`successions.SignedSuccession`, as JSON) that lead from its first keys to these.
    older: the private keys that were replaced, oldest first. They open what was sealed for them, and sign nothing.
    """

    def __init__(
        self, email: str, keys: Any, older: Sequence[Any] = (), successions: Sequence[dict[str, Any]] = ()
    ) -> None:
        self.email = email
        self._keys = keys
        self.older = tuple(older)
        self.successions = tuple(successions)
        seed = _bytes(keys.to_jwks()["identity_key"]["d"])
        self._signing = Ed25519PrivateKey.from_private_bytes(seed)
        document = keys.to_public_bundle().to_did_document(f"did:syft:{email}")
        self.public = PublicIdentity(email, {**document, "identity": email}, tuple(map(Retired, self.successions)))

    @classmethod
    def create(cls, email: str, path: Path, passphrase: bytes | None = None) -> Identity:
        """Makes new keys and writes them to `path` (0600), under the passphrase if one is given. Raises Refused if
        there are keys already."""
        if path.exists():
            raise Refused(f"There are keys already in {path}.", "Move them away first; peers will see a new identity.")
        made = cls(email, syc.SyftRecoveryKey.generate().derive_keys())
        made.save(path, passphrase)
        return made

    @classmethod
    def load(cls, email: str, path: Path) -> Identity:
        """The passphrase of a sealed file comes from where `datasites.wire.passphrase` says. Raises Refused when others
        can read the key file or it belongs to someone else, and InvalidInput when it does not open."""
        if not path.is_file():
            raise InvalidInput(f"There is no key file at {path}.", "Create the datasite or connect first.")
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise Refused(f"Other users of this machine can read the key file {path}.", f"Run: chmod 600 {path}")
        try:
            content = json.loads(path.read_bytes())
            if content.get("kind") == _SEALED:
                content = json.loads(_opened(content, path, passphrase_of(path)))
            keys, owner = syc.SyftPrivateKeys.from_jwks(content["keys_jwk"]), content["email"]
            older = [syc.SyftPrivateKeys.from_jwks(one) for one in content.get("older", [])]
            successions = list(content.get("successions", []))
        except WardroundError:
            raise
        except Exception:  # the native library raises its own undeclared types
            raise InvalidInput(f"The key file {path} is damaged.", "Restore it from a backup.") from None
        if owner != email:
            raise Refused(f"The key file {path} belongs to {owner}, not to {email}.", "Use that address.")
        return cls(email, keys, older, successions)

    def succeeded_by(self, keys: Any, statement: dict[str, Any]) -> Identity:
        """The same participant with other keys, as `statement` says."""
        return Identity(self.email, keys, (*self.older, self._keys), (*self.successions, statement))

    def save(self, path: Path, passphrase: bytes | None) -> None:
        """Replaces the key file in one step."""
        content = self._content()
        if passphrase is not None:
            content = json.dumps(sealed.seal(content, passphrase, {"kind": _SEALED}), indent=1).encode()
        write_atomically(path, content)

    @contextmanager
    def file_in_memory(self) -> Iterator[Path]:
        """The key file as Syft reads it, in memory alone: what is sealed on the disk stays so."""
        descriptor = os.memfd_create("wardround-keys", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, self._content())
            yield Path(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)

    def _content(self) -> bytes:
        content = {"email": self.email, "keys_jwk": self._keys.to_jwks(), "peer_bundles": {}}
        if self.successions:
            content |= {"older": [keys.to_jwks() for keys in self.older], "successions": list(self.successions)}
        return json.dumps(content, indent=2).encode()

    def sign(self, context: str, payload: bytes) -> str:
        """An Ed25519 signature (URL-safe base64) over `payload`, good for `context` only."""
        return base64.urlsafe_b64encode(self._signing.sign(_payload(context, payload))).decode().rstrip("=")

    def seal(self, recipient: PublicIdentity, plaintext: bytes) -> bytes:
        """Signs and encrypts for one recipient (XChaCha20-Poly1305 under an X25519 wrapped key; Syft's envelope)."""
        to = syc.EncryptionRecipient(recipient.email, recipient.bundle)
        return bytes(syc.encrypt_message(self.email, self._keys, [to], plaintext))

    def seal_in_chunks(self, recipient: PublicIdentity, plaintext: Pieces, spool: Spool) -> Buffer:
        """The same, for a recipient who reads chunks (`protocol.CHUNKS`), of a message that need not be in memory: a
        large one is sealed as `chunked` says. Raises Unavailable."""
        if plaintext.size < chunked.LARGE:
            return self.seal(recipient, plaintext.join())
        return chunked.seal(plaintext, lambda head: self.seal(recipient, head), spool)

    def open(self, sender: PublicIdentity, envelope: bytes, *, earlier: bool = False, retired: bool = True) -> bytes:
        """The plaintext. Raises Refused unless `sender` signed the message and addressed it to this identity.

        earlier: whether the sender's earlier keys are good too. retired: whether to open what was sealed for earlier
        keys of this identity.
        """
        return bytes(self.open_large(sender, envelope, MEMORY, earlier=earlier, retired=retired))

    def open_large(
        self, sender: PublicIdentity, message: Buffer, spool: Spool, *, earlier: bool = False, retired: bool = True
    ) -> Buffer:
        """The same, of a message that need not be in memory. Raises Unavailable too."""
        in_chunks = chunked.Message.parse(message)
        envelope = in_chunks.envelope if in_chunks else bytes(message)
        senders = [sender, *(map(sender.as_of, sender.earlier) if earlier else ())]
        for one in senders:
            for keys in (self._keys, *(reversed(self.older) if retired else ())):
                if (said := _opened_envelope(self.email, keys, one, envelope)) is not None:
                    found = _whole(said, in_chunks, spool)
                    if found is not None:
                        return found
        raise Refused(f"A message said to be from {sender.email} is not signed by them for us.")

    def renewed(self, envelope: bytes) -> bytes:
        """What this identity sealed for itself with earlier keys, sealed with its present ones; else unchanged."""
        in_chunks = chunked.Message.parse(envelope)
        for keys, then in zip(self.older, self.public.earlier, strict=True):
            said = _opened_envelope(
                self.email, keys, self.public.as_of(then), in_chunks.envelope if in_chunks else envelope
            )
            if said is not None and (found := _whole(said, in_chunks, MEMORY)) is not None:
                return self.seal(self.public, bytes(found))
        return envelope


def _whole(said: bytes, message: chunked.Message | None, spool: Spool) -> Buffer | None:
    """What an envelope `said`, or the chunks of the message it begins; None where that is not to be believed."""
    if message is None:
        return None if chunked.is_head(said) else said
    head = chunked.Head.parse(said)
    return chunked.opened(head, message, spool) if head else None


def _opened_envelope(email: str, keys: Any, sender: PublicIdentity, envelope: bytes) -> bytes | None:
    try:
        parsed = syc.parse_envelope(envelope)
        syc.verify_envelope_signature(parsed, sender.bundle.identity_key_bytes)
        if parsed.prelude["sender"]["identity"] != sender.email:
            return None
        return bytes(syc.decrypt_message(email, keys, sender.bundle, parsed))
    except Exception:  # the native library raises its own undeclared types for every malformed envelope
        return None
