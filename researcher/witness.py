"""The researcher as a witness: every hospital's audit log is held to the heads it has shown before.

What was seen is kept in the researcher's home, one file a hospital, which `wardround audit verify --with` takes too.
"""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import ValidationError

from datasites.wire import heads
from datasites.wire.files import write_atomically
from datasites.wire.home import Home
from datasites.wire.identity import PublicIdentity
from datasites.wire.store import Store
from datasites.wire.witness import Memory, Verdict, Watch, worse
from policies.errors import InvalidInput

log = logging.getLogger(__name__)
_KEPT = 1000


class Witness:
    def __init__(self, email: str, home: Home, store: Store) -> None:
        self._email = email
        self._folder = home.path / "heads"
        self._store = store
        self._watch = Watch(store)

    def look(self, hospital: PublicIdentity) -> Memory:
        """Looks at the hospital's heads now; what is new is kept, and shown to the hospital. Raises Unavailable."""
        before = self.memory(hospital.email)
        sight = self._watch.look(hospital, before.heads[-1] if before.heads else None)
        known = before.heads
        if sight.head and sight.head not in known[-1:]:
            known = (*known, sight.head)[-_KEPT:]
        against = before.against
        told = sight.against and sight.against not in against
        if sight.verdict is Verdict.REWRITTEN and sight.against and told:
            against = (*against, sight.against)[-_KEPT:]
            log.error("%s has rewritten its audit log: it signed two histories.", hospital.email)
        if sight.verdict is Verdict.RESTORED:
            log.error("%s has lost entries of its audit log, and says so: it put a backup back.", hospital.email)
        verdict = worse(before.verdict, sight.verdict)  # it stays known
        after = before.model_copy(update={"verdict": verdict, "heads": known, "against": against})
        if after != before:
            write_atomically(self.path(hospital.email), after.model_dump_json().encode())
        if known:
            heads.write_witnessed(self._store, self._email, known[-1])
        return after

    def memory(self, hospital: str) -> Memory:
        """What was seen of a hospital before. Raises InvalidInput for a damaged file."""
        path = self.path(hospital)
        if not path.exists():
            return Memory(witness=self._email, hospital=hospital)
        try:
            return Memory.model_validate_json(path.read_bytes())
        except ValidationError:
            raise InvalidInput(f"The file of seen heads {path} is damaged.", "Restore it from a backup.") from None

    def path(self, hospital: str) -> Path:
        return self._folder / f"{hospital}.json"
