"""Hospitals and researchers with real keys and real Syft clients over one store, for any test that needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syft.sync.messages.proposed_filechange import ProposedFileChange, ProposedFileChangesMessage

from datasites.wire import keys
from datasites.wire.home import Home
from datasites.wire.identity import Identity
from datasites.wire.login import connection_of, login
from datasites.wire.quarantine import notes
from datasites.wire.quiet import quiet
from datasites.wire.store import Store

CONFIG = """canonical_name: JobSubmissionMetadata
version: '1'
name: {name}
type: python
submitted_at: '2026-01-01T00:00:00Z'
entrypoint: study.py
files: [study.py]
"""


@dataclass(frozen=True)
class Party:
    """A participant that is logged in."""

    email: str
    home: Home
    identity: Identity
    client: Any

    @property
    def tree(self) -> Path:
        """The participant's own synced tree."""
        return self.home.syftbox / self.email

    @property
    def connection(self) -> Any:
        return connection_of(self.client)

    @property
    def store(self) -> Store:
        return self.connection.store

    def sync(self) -> None:
        with quiet():
            self.client.sync(force_download_peer_state=True)

    def reasons(self) -> list[str]:
        """Why messages lie in this participant's quarantine."""
        return [note["why"] for note in notes(self.home.quarantine)]


def join(
    folder: Path,
    email: str,
    role: str,
    store: str,
    options: Mapping[str, Any] | None = None,
    enter: Callable[..., Any] = login,
) -> Party:
    """Makes the participant's keys at the first call, and logs in (again)."""
    home = Home(folder / email)
    home.create()
    identity = Identity.load(email, home.keys) if home.keys.exists() else Identity.create(email, home.keys)
    return Party(email, home, identity, enter(email, home, store, role, options))


def befriend(owner: Party, researcher: Party) -> None:
    """The researcher asks to be a peer and the owner accepts."""
    with quiet():
        researcher.client.add_peer(owner.email, verbose=False)
        owner.client.load_peers()
        owner.client.approve_peer_request(researcher.email, verbose=False)
    researcher.sync()


def job_folder(sender: str, name: str) -> str:
    """Where a submission lies, below the owner's tree."""
    return f"app_data/job/inbox/{sender}/v1/{name}"


def job_files(sender: str, name: str, **code: str) -> dict[str, str]:
    """One whole job; `code` gives more files of its code folder (`__` stands for a slash)."""
    folder = job_folder(sender, name)
    extra = {f"{folder}/code/{path.replace('__', '/')}": text for path, text in code.items()}
    job = {f"{folder}/run.sh": "true\n", f"{folder}/config.yaml": CONFIG.format(name=name)}
    return {**job, f"{folder}/code/study.py": "x = 1\n", **extra}


def proposal(
    sender: str, owner: str, files: Mapping[str, str | bytes], old: Mapping[str, str] | None = None
) -> ProposedFileChangesMessage:
    """Syft's message that proposes `files`; `old` names hashes that they replace."""
    changes = [
        ProposedFileChange(
            datasite_email=owner, path_in_datasite=Path(path), content=content, old_hash=(old or {}).get(path)
        )
        for path, content in files.items()
    ]
    return ProposedFileChangesMessage(sender_email=sender, proposed_file_changes=changes)


def post(box: Party, owner: Party, envelope: bytes, message: ProposedFileChangesMessage) -> str:
    """Puts bytes into `box`'s inbox at the owner, as the participant who may write there can."""
    key = f"{keys.box(owner.email, 'inbox', box.email)}/{keys.encode(message.message_filename.as_string())}"
    box.store.put(key, envelope)
    return key


def propose(sender: Party, owner: Party, message: ProposedFileChangesMessage) -> str:
    """Signs, encrypts and posts `message`, whatever it says."""
    return post(sender, owner, sender.identity.seal(owner.identity.public, message.as_compressed_data()), message)


def submit(sender: Party, owner: Party, name: str) -> Path:
    """An honest submission; returns the file that will be there once it arrived."""
    propose(sender, owner, proposal(sender.email, owner.email, job_files(sender.email, name)))
    return owner.tree / job_folder(sender.email, name) / "code" / "study.py"
