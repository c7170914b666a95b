"""A datasite that is open: its folder, settings, keys and state, and what the parts of `Datasite` share."""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from datasites.approval.office import Office
from datasites.audit.reputation import Reputation
from datasites.audit.trail import AuditTrail
from datasites.home import DatasiteHome
from datasites.settings import DatasiteSettings
from datasites.state import State
from datasites.wire.identity import Identity
from datasites.wire.peers import PinnedPeers
from datasites.wire.shown import Shown
from datasites.wire.store import Store
from policies.errors import Unavailable


class OpenDatasite(Shown):
    """Raises InvalidInput when there is none in `home`, or its settings are wrong."""

    def __init__(self, home: str | Path) -> None:
        self.home = DatasiteHome(Path(home).expanduser().resolve())
        self.settings = DatasiteSettings.load(self.home.path)
        self.identity = Identity.load(self.settings.email, self.home.keys)
        self.state = State(self.home.state)

    @property
    def fingerprint(self) -> str:
        """Of this hospital's keys, for researchers to compare."""
        return self.identity.public.fingerprint

    def _store(self) -> Store:
        """The federation's, opened anew."""
        return Store(self.settings.store, self.settings.store_options)

    @property
    def audit(self) -> AuditTrail:
        """What happened here: to read, to hand on, and to verify as anybody would."""
        return AuditTrail(self.identity, self.state.audit)

    @cached_property
    def reputation(self) -> Reputation:
        """What researchers say of this hospital's part in their studies, and what it contests."""
        peers, place = PinnedPeers(self.home.peers), self.home.path / "reputation"
        return Reputation(self.identity, peers, self._store(), self.state.audit, place)

    @cached_property
    def office(self) -> Office:
        """Decisions on what the agent has synced so far."""
        from syft_job import SyftJobConfig
        from syft_job.client import JobClient

        (self.home.syftbox / self.settings.email).mkdir(parents=True, exist_ok=True)
        config = SyftJobConfig(
            syftbox_folder=self.home.syftbox, current_user_email=self.settings.email, has_do_role=True
        )
        return Office(self.home, self.identity, JobClient.from_config(config), self.state)

    @cached_property
    def _client(self) -> Any:
        # Syft takes a second to import, so only what needs the store does
        from datasites.agent.recovery import open_client

        return open_client(self.home, self.settings)

    @property
    def _connection(self) -> Any:
        from datasites.wire.login import connection_of

        return connection_of(self._client)

    @staticmethod
    def _wait(look: Callable[[], list[str]], timeout: float, nothing: str) -> str:
        until = time.monotonic() + timeout
        while True:
            if found := look():
                return found[0]
            if time.monotonic() > until:
                raise Unavailable(nothing, "Is the agent serving? See: wardround datasite status")
            time.sleep(0.5)


def person() -> str:
    """Who decides, for the record: the name of the account on this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
