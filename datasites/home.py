"""Where a datasite keeps what: one private folder (0700). Only `syftbox/` is ever synced, and it holds no raw row."""

from __future__ import annotations

import fcntl
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from datasites.wire.files import private_folder, write_atomically
from datasites.wire.home import Home
from policies.errors import Refused

STUDY_LOG = "study.log"  # in a study's folder: what its code printed


@dataclass(frozen=True)
class DatasiteHome(Home):
    """
    | path | what |
    |---|---|
    | datasite.toml | settings |
    | identity.json, peers.json | keys, under a passphrase if wished, and the pinned keys of peers |
    | tls/ | certificate and key for the store, its authority, its S3 key (see `onboarding.joining`) |
    | passphrase.toml | where the passphrase of both keys comes from; not the passphrase |
    | federation.toml, advised-policy.toml | who takes part, and the policy that the consortium advises |
    | agent.json | the running agent: its process, and what keeps it from its work |
    | audit-alarm.json | that the agent ended because its audit log was not what it had shown of it |
    | identity.next.json | new keys, while they are being put in the place of the present ones |
    | restored.json | that it comes from a backup, and no agent serves it until its owner has confirmed that |
    | before-layout-N/ | what a newer release found and changed, as it was before |
    | sent.json | which of Syft's messages have reached the store |
    | state.db | decisions, answered rounds, the privacy ledger and the audit log |
    | datasets/NAME.json | registered tables: source and dictionary |
    | approved/DIGEST/ | the approved bytes of a study, and nothing else |
    | studies/DIGEST/ | a study's table view, scratch, log, and what it keeps between rounds |
    | noise.json | noise multipliers that were calibrated before |
    | pseudonyms.key | the secret that patients' pseudonyms are made with |
    | quarantine/ | refused messages |
    | held/ | results that the release gate kept back |
    | reputation/ | by researcher: their signed record of this hospital as last seen, and what it contests |
    | drift/TABLE.json | what the newest comparison of a table with a newer one found |
    | syftbox/ | Syft's synced tree: mock twins and submissions |
    """

    @property
    def state(self) -> Path:
        return self.path / "state.db"

    @property
    def datasets(self) -> Path:
        return self.path / "datasets"

    @property
    def approved(self) -> Path:
        return self.path / "approved"

    @property
    def held(self) -> Path:
        return self.path / "held"

    @property
    def lock(self) -> Path:
        return self.path / "agent.lock"

    @property
    def sent(self) -> Path:
        return self.path / "sent.json"

    @property
    def heartbeat(self) -> Path:
        return self.path / "agent.json"

    @property
    def alarm(self) -> Path:
        return self.path / "audit-alarm.json"

    @property
    def restored(self) -> Path:
        return self.path / "restored.json"

    @property
    def drift(self) -> Path:
        return self.path / "drift"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While no agent serves, and none can begin. Raises Refused."""
        with self.lock.open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refused(
                    f"An agent is serving {self.path} already.", "Stop it first, or use another --home."
                ) from None
            yield

    @contextmanager
    def syft_tree(self) -> Iterator[None]:
        """Around all that reads or changes Syft's tree: the agent and the commands beside it take turns, as Syft fails
        on a file that comes or goes while it syncs. Not to be nested."""
        with (self.path / "syft.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def study(self, digest: str) -> Path:
        return private_folder(self.path / "studies" / digest)

    @property
    def noise_cache(self) -> Path:
        return self.path / "noise.json"

    @property
    def pseudonym_key(self) -> Path:
        return self.path / "pseudonyms.key"

    def pseudonym_secret(self) -> bytes:
        """The hospital's own key for patients' pseudonyms, made at first use."""
        if not self.pseudonym_key.exists():
            write_atomically(self.pseudonym_key, secrets.token_bytes(32))
        return self.pseudonym_key.read_bytes()
