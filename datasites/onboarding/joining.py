"""From an invitation to a place that can take part: a hospital's datasite, or a researcher's federation file.

Joining again with a newer invitation renews: certificate and key are replaced in one step; the datasite's own keys, its
peers and its history stay.
"""

from __future__ import annotations

import functools
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasites.onboarding.authority import locked, unlocked
from datasites.onboarding.invitation import Invitation
from datasites.wire.files import private_folder, write_atomically
from datasites.wire.home import Home
from datasites.wire.identity import Identity, reseal
from datasites.wire.passphrase import remember
from policies.errors import InvalidInput, Refused

FOLDER = "tls"  # in a participant's home
AUTHORITY, IDENTITY, KEYS = f"{FOLDER}/ca.pem", f"{FOLDER}/identity.pem", f"{FOLDER}/store.json"
FEDERATION, POLICY = "federation.toml", "advised-policy.toml"


@dataclass(frozen=True)
class Joined:
    """`renewed`: whether there was a datasite already, or a researcher's folder. `fingerprint`: of its own keys."""

    home: Path
    renewed: bool
    fingerprint: str


def options(invitation: Invitation) -> dict[str, Any]:
    """Of the store; files are named from the participant's home on."""
    return {
        "aws_endpoint": invitation.endpoint,
        "aws_region": "us-east-1",
        "aws_virtual_hosted_style_request": "false",
        "ca_file": AUTHORITY,
        "certificate_file": IDENTITY,
        "keys_file": KEYS,
    }


def join(invitation: Invitation, home: Path, passphrase: bytes) -> Joined:
    """Writes what the participant needs into `home`; its key lies there under `passphrase`. Raises Refused when the
    folder belongs to somebody else."""
    place = home.expanduser().resolve()
    remember(place, passphrase)
    return (
        _join_hospital(invitation, place, passphrase)
        if invitation.role == "hospital"
        else _join_researcher(invitation, place, passphrase)
    )


def _join_hospital(invitation: Invitation, home: Path, passphrase: bytes) -> Joined:
    from datasites.datasite import Datasite
    from datasites.settings import FILE, DatasiteSettings

    renewed = (home / FILE).exists()
    if renewed:
        settings = DatasiteSettings.load(home)
        if (settings.email, settings.store) != (invitation.email, invitation.store):
            raise Refused(
                f"The datasite in {home} is {settings.email} at {settings.store}, not the one invited.",
                "Choose another folder with --home.",
            )
    _write_secrets(invitation, home, passphrase)
    write_atomically(home / FEDERATION, federation_file(invitation).encode())
    write_atomically(home / POLICY, invitation.policy.encode())
    if not renewed:
        told = (invitation.email, invitation.store, invitation.name, options(invitation), passphrase)
        Datasite.create(home, *told).state.close()
    with Datasite.opened(home) as site:
        return Joined(home, renewed, site.fingerprint)


def _join_researcher(invitation: Invitation, home: Path, passphrase: bytes) -> Joined:
    place = Home(home)
    place.create()
    renewed = place.keys.exists()
    if renewed:
        identity = Identity.load(invitation.email, place.keys)  # refuses a folder of somebody else
    else:
        identity = Identity.create(invitation.email, place.keys, passphrase)
    _write_secrets(invitation, home, passphrase)
    write_atomically(home / FEDERATION, federation_file(invitation).encode())
    return Joined(home, renewed, identity.public.fingerprint)


def _write_secrets(invitation: Invitation, home: Path, passphrase: bytes) -> None:
    private_folder(home / FOLDER)
    key = unlocked(invitation.key.encode(), None, Path("the invitation"))
    certificate = invitation.certificate.encode().rstrip() + b"\n"
    write_atomically(home / AUTHORITY, invitation.authority.encode())
    pair = {"aws_access_key_id": invitation.access_key, "aws_secret_access_key": invitation.secret_key}
    write_atomically(home / KEYS, json.dumps(pair).encode())
    write_atomically(home / IDENTITY, certificate + locked(key, passphrase))  # one file, so that both change at once


def federation_file(invitation: Invitation) -> str:
    """What researchers connect with (`researcher.connect`); for a hospital, who else takes part."""
    quoted = functools.partial(json.dumps, ensure_ascii=False)  # TOML's basic strings hold what these do
    lines = [f"name = {quoted(invitation.federation)}", f"store = {quoted(invitation.store)}", "", "[store_options]"]
    lines += [f"{name} = {quoted(value)}" for name, value in options(invitation).items()]
    for kind, group in (("hospitals", invitation.hospitals), ("researchers", invitation.researchers)):
        for label, one in group.items():
            lines += ["", f"[{kind}.{label}]", f"email = {quoted(one.email)}"]
            lines += [f"name = {quoted(one.name)}"] if one.name else []
            lines += [f"fingerprint = {quoted(one.fingerprint)}"] if one.fingerprint else []
    text = "\n".join(lines) + "\n"
    tomllib.loads(text)
    return text


def change_passphrase(home: Path, old: bytes | None, new: bytes) -> list[Path]:
    """Puts all keys in a participant's home under another passphrase, or a first one. Returns their files.

    Each is changed in one step; what a crash cut off is finished by doing it again. Raises InvalidInput where `old`
    does not open a key.
    """
    keys, identity = Home(home).keys, home / IDENTITY
    changed = [path for path in (keys, identity) if path.is_file()]
    if not changed:
        raise InvalidInput(f"There are no keys in {home}.", "Give the participant's folder with --home.")
    if identity in changed:
        _relock(identity, old, new)
    if keys in changed:
        reseal(keys, old, new)
    return changed


def _relock(path: Path, old: bytes | None, new: bytes) -> None:
    content = path.read_bytes()
    start = content.find(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    if start < 0:
        raise InvalidInput(f"There is no key under a passphrase in {path}.", "Join with the invitation again.")
    try:
        unlocked(content[start:], new, path)
    except InvalidInput:
        key = unlocked(content[start:], old, path)
        write_atomically(path, content[:start] + locked(key, new))
