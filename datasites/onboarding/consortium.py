"""What a consortium keeps: one folder with its participants, its authority, and the folder that its store runs from.

| path | what | who needs it |
|---|---|---|
| consortium.toml | name, store, participants; edited by people | the consortium |
| ca/ | its authority (see `authority`); none where an existing one is used | the consortium, offline |
| store/ | the store's front: configuration, certificate, list of revoked ones, `start.sh` | the store's machine |
| policy.toml | what hospitals are advised to allow | goes into invitations |
| invitations/ | one sealed file a participant | each gets its own |
"""

from __future__ import annotations

import re
import secrets
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from cryptography import x509
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from datasites.onboarding import front
from datasites.onboarding.authority import Authority, certificate_name, plain, unlocked
from datasites.onboarding.invitation import Invitation, Peer
from datasites.onboarding.names import CERTIFICATE, KEY, REVOKED
from datasites.wire.files import private_folder, write_atomically
from policies.errors import InvalidInput, Refused
from policies.examples import STANDARD, example_text

FILE, STORE_KEY = "consortium.toml", "s3.key"
_ACCESS_KEY = "wardround"
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_OWN = """\
`ca/` holds the authority. Its key opens by your passphrase only. Keep this folder on a machine that is seldom
connected, and a copy of the folder and of the passphrase in a safe.
"""
_EXISTING = """\
Put into `store/`: `store.pem` and `store.key` (the store's certificate with its chain, and its key), `ca.pem` (what
signs participants' certificates) and `crl.pem` (the list of revoked ones, one of every authority in the chain). The
subject of a participant's certificate is OU=hospital or OU=researcher, CN=its address, and nothing else: nobody else
may do anything.
"""
_README = """\
# {name}: what the consortium keeps

{mine}
1. Copy `store/` to the store's machine ({host}) and start it there: `./start.sh` (it needs nginx and rclone), or
   `docker compose up -d`. `s3.key` and `store.key` are secrets.
2. For each participant: `wardround federation invite LABEL` makes `invitations/ADDRESS.invitation`. Send it by any way;
   tell its passphrase over the telephone, never by the same way.
3. Each runs `wardround federation join FILE` and reads its fingerprint to you. Write it into `{file}`, so that later
   invitations name it.
4. A key is lost or stolen: `wardround federation revoke LABEL`, copy `store/crl.pem` to the store, run `./reload.sh`
   there, and invite again. Once a year: `wardround federation renew-store`, and invite all again.
5. Who joins later needs nothing at the store. After an upgrade: `wardround federation front`, copy what it names there,
   and `./reload.sh`.
"""
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


class Participant(BaseModel):
    """`fingerprint`: of its keys, as `wardround federation join` showed them to it, read out over the telephone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    email: Annotated[str, AfterValidator(certificate_name)]
    name: Annotated[str, Field(max_length=200)] = ""
    fingerprint: Annotated[str, Field(max_length=100)] = ""


class StorePlace(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    host: Annotated[str, Field(pattern=f"^{_HOST.pattern}$")]
    port: Annotated[int, Field(ge=1, le=65535)] = 9443
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")] = front.BUCKET


class Consortium(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=200)]
    store: StorePlace
    hospitals: dict[Annotated[str, Field(pattern=f"^{_LABEL.pattern}$")], Participant] = Field(default_factory=dict)
    researchers: dict[Annotated[str, Field(pattern=f"^{_LABEL.pattern}$")], Participant] = Field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Consortium:
        """Raises InvalidInput, naming every wrong entry."""
        path = folder / FILE
        try:
            return cls.parse(path.read_text(), path)
        except OSError:
            raise InvalidInput(f"There is no consortium in {folder}.", "Run: wardround federation init") from None
        except UnicodeDecodeError:
            raise InvalidInput(f"{path} is not valid TOML.") from None

    @classmethod
    def parse(cls, text: str, path: Path) -> Consortium:
        """path: only named in errors."""
        try:
            made = cls.model_validate(tomllib.loads(text))
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
            raise InvalidInput(f"{path} is wrong: {wrong}.") from None
        except ValueError as error:
            raise InvalidInput(f"{path} is not valid TOML: {error}.") from None
        emails = [one.email for one in (*made.hospitals.values(), *made.researchers.values())]
        if len(set(emails)) < len(emails) or set(made.hospitals) & set(made.researchers):
            raise InvalidInput(f"{path} names an address or a label twice.", "Give each participant its own.")
        return made

    def find(self, label: str) -> tuple[Literal["hospital", "researcher"], Participant]:
        """By label or address."""
        for role, group in (("hospital", self.hospitals), ("researcher", self.researchers)):
            for name, one in group.items():
                if label.strip().lower() in (name, one.email):
                    return role, one  # type: ignore[return-value]
        known = ", ".join([*self.hospitals, *self.researchers]) or "nobody yet"
        raise InvalidInput(f"{label!r} is no participant.", f"{FILE} names: {known}. Add it there.")


def init(
    folder: Path,
    name: str,
    host: str,
    port: int,
    hospitals: Mapping[str, str],
    researchers: Mapping[str, str],
    passphrase: bytes | None,
) -> Consortium:
    """Makes the folder. passphrase: of the new authority's root key; None where an existing authority is used, whose
    files are then to be put into store/. Doing it again after a crash goes on; raises Refused once it is complete."""
    if (folder / FILE).exists():
        raise Refused(f"There is a consortium in {folder} already.", f"Edit its {FILE}, and invite.")
    text = _toml(name, host, port, hospitals, researchers)
    made = Consortium.parse(text, folder / FILE)  # all mistakes are told before anything is made
    private_folder(folder)
    store = private_folder(folder / "store")
    front.write_front(store, made.store.bucket, made.store.port)
    if not (store / STORE_KEY).exists():
        write_atomically(store / STORE_KEY, f'"{_ACCESS_KEY},{secrets.token_hex(24)}"'.encode())
    if passphrase is not None:
        authority = _authority(folder, name, passphrase)
        _certify_store(folder, authority, made.store.host)
    write_atomically(folder / "policy.toml", example_text(STANDARD).encode())
    write_atomically(folder / "README.md", _readme(made, own_authority=passphrase is not None).encode())
    write_atomically(folder / FILE, text.encode())
    return made


def invite(
    folder: Path, label: str, passphrase: bytes | None, given: tuple[Path, Path, bytes | None] | None = None
) -> Invitation:
    """What one participant is given, with a new certificate. Inviting again renews: earlier certificates stay good
    until they end or are revoked.

    given: (certificate, key, the key's passphrase) of an existing authority, instead of the consortium's own.
    """
    consortium = Consortium.load(folder)
    role, who = consortium.find(label)
    store = folder / "store"
    if given is not None:
        certificate, private = _read(given[0]), plain(unlocked(_read(given[1]), given[2], given[1]))
    elif passphrase is not None:
        certificate, key = Authority.open(folder / "ca", passphrase).issue(who.email, role)
        private = plain(key)
    else:
        raise InvalidInput("Without an authority of its own, the consortium needs a certificate to invite with.")
    access, _, secret = _read(store / STORE_KEY).decode().strip('"\n').partition(",")
    place = consortium.store
    return Invitation(
        federation=consortium.name,
        role=role,
        email=who.email,
        name=who.name,
        bucket=place.bucket,
        endpoint=f"https://{place.host}:{place.port}",
        access_key=access,
        secret_key=secret,
        authority=_read(store / CERTIFICATE).decode(),
        certificate=certificate.decode(),
        key=private.decode(),
        hospitals={label: _peer(one) for label, one in consortium.hospitals.items()},
        researchers={label: _peer(one) for label, one in consortium.researchers.items()},
        policy=_read(folder / "policy.toml").decode() if role == "hospital" else "",
    ).checked()


def revoke(folder: Path, label: str, passphrase: bytes, *, keep_newest: bool = False) -> list[str]:
    """Revokes a participant's certificates and puts the new list beside the front. Returns their serials."""
    try:
        email = Consortium.load(folder).find(label)[1].email
    except InvalidInput:
        email = label  # it may have been taken out of the file already
    gone = Authority.open(folder / "ca", passphrase).revoke(email, keep_newest=keep_newest)
    _copy_list(folder)
    return gone


def renew_store(folder: Path, passphrase: bytes) -> None:
    """A new certificate for the store, and the list of revoked ones signed anew."""
    consortium, authority = Consortium.load(folder), Authority.open(folder / "ca", passphrase)
    authority.refresh_list()
    (folder / "store/store.pem").unlink(missing_ok=True)
    _certify_store(folder, authority, consortium.store.host)


def _authority(folder: Path, name: str, passphrase: bytes) -> Authority:
    if (folder / "ca" / KEY).exists():
        return Authority.open(folder / "ca", passphrase)
    return Authority.create(folder / "ca", f"{name} (Wardround)"[:64], passphrase)


def _certify_store(folder: Path, authority: Authority, host: str) -> None:
    store = folder / "store"
    if not (store / "store.pem").exists():
        certificate, key = authority.issue("store", "store", [host])
        write_atomically(store / "store.key", plain(key))
        write_atomically(store / "store.pem", certificate)
    write_atomically(store / CERTIFICATE, _read(folder / "ca" / CERTIFICATE))
    _copy_list(folder)


def _copy_list(folder: Path) -> None:
    write_atomically(folder / "store" / REVOKED, _read(folder / "ca" / REVOKED))


def _peer(one: Participant) -> Peer:
    return Peer(email=one.email, name=one.name, fingerprint=one.fingerprint)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise InvalidInput(f"{path} cannot be read.", "Restore it, or put it there.") from None


def _toml(name: str, host: str, port: int, hospitals: Mapping[str, str], researchers: Mapping[str, str]) -> str:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    lines = [
        "# Who takes part. After a change: wardround federation invite LABEL, or federation revoke LABEL.",
        "# A participant may have a name, and a fingerprint once it has read its own to you over the telephone.",
        f"name = {quoted(name)}",
        "",
        "[store]",
        f"host = {quoted(host)}",
        f"port = {port}",
    ]
    for kind, group in (("hospitals", hospitals), ("researchers", researchers)):
        for label, email in group.items():
            lines += ["", f"[{kind}.{quoted(label)}]", f"email = {quoted(email)}", '# name = ""', '# fingerprint = ""']
    return "\n".join(lines) + "\n"


def _readme(consortium: Consortium, *, own_authority: bool) -> str:
    mine = _OWN if own_authority else _EXISTING
    return _README.format(name=consortium.name, host=consortium.store.host, file=FILE, mine=mine)


def labelled(pairs: Sequence[str], what: str) -> dict[str, str]:
    """{label: address} of words such as north=do@north.org."""
    found: dict[str, str] = {}
    for pair in pairs:
        label, equals, email = pair.partition("=")
        if not equals or not _LABEL.fullmatch(label) or label in found:
            raise InvalidInput(f"{pair!r} does not name a {what}.", "Write LABEL=ADDRESS, each label once.")
        found[label] = certificate_name(email)
    return found


def subject(certificate: x509.Certificate) -> tuple[str, str]:
    """(role, address) that a participant's certificate names; empty where it names none."""
    oid = x509.NameOID
    values = {one.oid: str(one.value) for one in certificate.subject}
    if len(certificate.subject) != 2:
        return "", ""
    return values.get(oid.ORGANIZATIONAL_UNIT_NAME, ""), values.get(oid.COMMON_NAME, "")
