"""How a hostile researcher posts to a hospital, and how to see that it worked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from syft.sync.messages.proposed_filechange import ProposedFileChangesMessage

from tests.attacks.archives import packed
from tests.attacks.world import EVE, OWNER, Happened, Ward
from tests.support.parties import post, proposal, propose, submit


@dataclass(frozen=True)
class Attack:
    act: Callable[[Ward], Happened]
    reason: str

    def __str__(self) -> str:
        return self.act.__name__


class Attacks(list[Attack]):
    """The attacks of one file, in its order."""

    def noted(self, reason: str) -> Callable[[Callable[[Ward], Happened]], Callable[[Ward], Happened]]:
        """Adds an attack. It posts, and returns a question that says whether it has worked; `reason` is what the
        hospital then finds in its quarantine ("" where nothing is posted)."""

        def register(act: Callable[[Ward], Happened]) -> Callable[[Ward], Happened]:
            self.append(Attack(act, reason))
            return act

        return register


def send(ward: Ward, files: Mapping[str, str | bytes], sender: str = EVE, old: Mapping[str, str] | None = None) -> None:
    propose(ward.eve, ward.owner, proposal(sender, OWNER, files, old))


def raw(ward: Ward, data: bytes) -> None:
    """Bytes in eve's own box."""
    post(ward.eve, ward.owner, data, proposal(EVE, OWNER, {}))


def sealed(ward: Ward, plaintext: bytes) -> None:
    raw(ward, ward.eve.identity.seal(ward.owner.identity.public, plaintext))


def edited(ward: Ward, message: ProposedFileChangesMessage, pattern: str, replacement: str) -> None:
    """The message with its JSON text changed, as one's own program can write it."""
    sealed(ward, packed(re.sub(pattern, replacement, message.model_dump_json(indent=2)).encode()))


def landed(ward: Ward, path: str, content: str | bytes | None = None) -> Happened:
    target = ward.owner.tree / path
    wanted = content.encode() if isinstance(content, str) else content
    return lambda: target.is_file() and (wanted is None or target.read_bytes() == wanted)


def wedged(ward: Ward) -> Happened:
    return lambda: not ward.honest_job_arrives()


def submitted(ward: Ward, name: str) -> Path:
    """A good job of eve's that the hospital has received."""
    arrived = submit(ward.eve, ward.owner, name)
    ward.sync()
    assert [job.name for job in ward.owner.client.job_client.jobs] == [name]
    ward.sync()
    return arrived
