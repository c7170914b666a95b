"""What a hospital does for its datasite to last: replacing its keys, backups, and what follows a restored one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from datasites.audit.entry import Kind
from datasites.opened import OpenDatasite, person
from datasites.wire import protocol
from datasites.wire.decision import Decision
from datasites.wire.identity import Identity
from datasites.wire.peers import PinnedPeers
from policies.errors import InvalidInput

if TYPE_CHECKING:
    from datasites.backup.confirm import Outside
    from datasites.rotation import Replaced


class Keeping(OpenDatasite):
    def cannot_follow(self) -> list[str]:
        """Peers whose release is too old to follow when keys are replaced here: they would have to accept this datasite
        anew, told by telephone."""
        peers, store = PinnedPeers(self.home.peers), self._store()
        known = [peers.public(email) for email in peers.accepted()]
        return [one.email for one in known if one and protocol.of(store, one).most < protocol.SUCCESSIONS]

    def rotate_keys(self) -> Replaced:
        """Replaces this datasite's keys. Peers follow, as the old keys sign a statement that names the new ones; the
        audit log and all approvals stay good. The agent must not be running. Not for keys that were stolen.

        Raises Refused while an agent serves, and where the store shows that somebody else has the present keys.
        """
        from datasites.rotation import rotate

        with self.home.alone():
            replaced = rotate(self.home, self.identity, self.state.audit, self._store())
        self.identity = Identity.load(self.settings.email, self.home.keys)
        for made_with_the_old_ones in ("_client", "office", "reputation"):
            self.__dict__.pop(made_with_the_old_ones, None)
        return replaced

    def backup(self, file: str | Path, passphrase: bytes, *, private: bool = False) -> int:
        """Saves this datasite in one sealed file, also while its agent serves; returns how many entries of the audit
        log are in it. private: with the tables' files and what studies left behind here. Raises InvalidInput."""
        from datasites.backup.save import save

        return save(self.home, self.identity, self.state, Path(file), passphrase, private)

    def look_outside(self) -> Outside:
        """Of a datasite that comes from a backup: what others know of the time since it was made."""
        from datasites.backup.confirm import look

        return look(self.home, self.identity, self.state, self._store())

    def confirm_restore(self, seen: Outside) -> None:
        """Lets the agent serve again. seen: what `look_outside` has told. Where others know more than the backup,
        approvals are revoked, privacy budgets closed, and the audit log owns up to what it lost."""
        from datasites.backup.confirm import confirm

        def take_back(decision: Decision) -> None:
            self.office.take_back(decision, reason="The hospital was restored from a backup.", by=person())

        with self.home.alone():
            store = self._store()
            confirm(self.home, self.identity, self.state, store, seen, take_back)

    def reopen_budget(self, table: str) -> None:
        """Lets a table's budget be used again after a restored backup had closed it: its owner answers for what its
        policy says is left. Raises InvalidInput for one that is not closed."""
        if not self.state.ledger.closed(table):
            raise InvalidInput(f"The budget of {table} is not closed.", "There is nothing to open.")
        self.state.audit.record(Kind.BUDGET_REOPENED, dataset=table, by=person())
