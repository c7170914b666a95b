"""The boxes between one hospital and its neighbours, for one study.

Whatever lies in a neighbour's box counts only if the neighbour, with the keys that the manifest names, has signed and
sealed it for this hospital, for this study and this round. Anything else is put aside in the quarantine and is as if it
had not come: whoever has the store, or the neighbour itself, can keep a model away, and no more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from datasites.agent.gossip.diary import Diary
from datasites.audit.entry import Kind
from datasites.audit.log import AuditLog
from datasites.home import DatasiteHome
from datasites.wire import keys, quarantine
from datasites.wire.arrays import Arrays
from datasites.wire.canonical import sha256
from datasites.wire.contract import array_problems
from datasites.wire.files import write_atomically
from datasites.wire.gossip.messages import Model, Presence, decode_model, decode_presence, encode, most_bytes
from datasites.wire.gossip.network import Network
from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.limits import PUBLIC_BYTES
from datasites.wire.manifest import Manifest
from datasites.wire.store import Store
from policies.errors import Refused, Unavailable, WardroundError

log = logging.getLogger(__name__)
KeysOf = Callable[[str], PublicIdentity | None]  # as published in the store, by address
_PRESENCE = "presence"


class NeighbourPost:
    """keys_of: believed only if their fingerprint is the one that the manifest names."""

    def __init__(
        self,
        identity: Identity,
        store: Store,
        manifest: Manifest,
        network: Network,
        diary: Diary,
        home: DatasiteHome,
        audit: AuditLog,
        keys_of: KeysOf,
    ) -> None:
        self._identity, self._store, self._manifest, self._network = identity, store, manifest, network
        self._diary, self._home, self._audit, self._keys_of = diary, home, audit, keys_of
        self._study, self._me = manifest.digest, identity.email
        self.neighbours = network.neighbours(self._me)
        self._public: dict[str, PublicIdentity] = {}
        self._strange: set[str] = set()
        self._told: dict[str, tuple[int, bool]] = {}
        self._presence: dict[str, Presence] = {}
        self._there: dict[str, dict[str, str]] = {}  # by neighbour: names in its box for us, and their versions
        self._models: dict[tuple[str, int], Arrays | None] = {}
        self._done: set[tuple[str, str]] = set()  # versions that were read, or put aside
        self._most = most_bytes(manifest)
        self._sent: set[tuple[str, int]] = set()

    # out

    def tell(self, present: bool) -> None:
        """Tells every neighbour, once, whether this hospital takes part."""
        said = self._diary.say(present), present
        for neighbour in self.neighbours:
            public = self._keys(neighbour) if self._told.get(neighbour) != said else None
            if public is None:
                continue
            word = Presence(study=self._study, sender=self._me, hospital=neighbour, serial=said[0], present=said[1])
            key = keys.gossip_presence(self._study, self._me, neighbour)
            self._store.put(key, self._identity.seal(public, encode(word)))
            self._told[neighbour] = said

    def send(self, number: int, model: Arrays | None) -> None:
        """Sends the round's model (None: that there is none) to each neighbour that takes part and has not been sent it
        yet. It is in the audit log before it is in the store; after a crash the same bytes go again."""
        for neighbour in self.neighbours:
            public = self._keys(neighbour) if self.present(neighbour) else None
            if public is None or (neighbour, number) in self._sent:
                continue
            sealed = self._sealed(public, number, model)
            self._audit.record_once(
                Kind.SHARED,
                "message",
                study=self._study,
                round=number,
                to=neighbour,
                model=model is not None,
                message=sha256(sealed),
                bytes=len(sealed),
            )
            self._store.put(keys.gossip_model(self._study, self._me, neighbour, number), sealed)
            self._sent.add((neighbour, number))

    def _sealed(self, public: PublicIdentity, number: int, model: Arrays | None) -> bytes:
        path = self._diary.sealed(number, public.email)
        if path.exists():
            return path.read_bytes()
        trained = model is not None
        said = Model(study=self._study, sender=self._me, hospital=public.email, number=number, trained=trained)
        sealed = self._identity.seal(public, encode(said, model))
        write_atomically(path, sealed)
        return sealed

    # in

    def look(self, number: int) -> None:
        """Looks what neighbours have put into their boxes, from this round on."""
        for neighbour in self.neighbours:
            self._list(neighbour, number)
            before = self._presence.get(neighbour)
            self._read_presence(neighbour)
            if self._presence.get(neighbour) != before:
                self._list(neighbour, number)  # what it sent before it said this
        for old in [key for key in self._models if key[1] < number]:
            del self._models[old]

    def _list(self, neighbour: str, number: int) -> None:
        box = keys.gossip(self._study, neighbour, self._me)
        after = keys.gossip_model(self._study, neighbour, self._me, max(number - 1, 0))
        self._there[neighbour] = {keys.last(key): tag for key, tag in self._store.versions(box, after=after)}

    def present(self, neighbour: str) -> bool | None:
        """Whether it takes part, as it says itself; None where it has said nothing."""
        said = self._presence.get(neighbour)
        return said.present if said else None

    def models(self, number: int) -> dict[str, Arrays | None]:
        """What neighbours have sent for a round; None for one that has no model in it. As of the last `look`."""
        for neighbour in self.neighbours:
            self._read_model(neighbour, number)
        return {one: model for (one, at), model in self._models.items() if at == number}

    def newest(self, first: int, last: int) -> int | None:
        """The highest round from `first` to `last` that a neighbour has sent something true for."""
        for number in sorted(self._numbers(first, last), reverse=True):
            if self.models(number):
                return number
        return None

    def _numbers(self, first: int, last: int) -> set[int]:
        names = {name for there in self._there.values() for name in there if len(name) == 6 and name.isdecimal()}
        return {int(name) for name in names if first <= int(name) <= last}

    def _read_presence(self, neighbour: str) -> None:
        def read(plaintext: bytes) -> None:
            said = decode_presence(plaintext)
            if (said.study, said.sender, said.hospital) != (self._study, neighbour, self._me):
                raise Refused("is not about this study, for this hospital")
            known = self._presence.get(neighbour)
            if known and said.serial < known.serial:
                raise Refused("is older than what the hospital has said since")
            self._presence[neighbour] = said

        self._take(neighbour, _PRESENCE, PUBLIC_BYTES, read)

    def _read_model(self, neighbour: str, number: int) -> None:
        """Once: what is put there later in its place does not count."""

        def read(plaintext: bytes) -> None:
            said, model = decode_model(plaintext, self._most)
            if (said.study, said.sender, said.hospital, said.number) != (self._study, neighbour, self._me, number):
                raise Refused("is not for this round of this study at this hospital")
            if problems := array_problems(model, self._manifest.outputs.parameters if said.trained else {}):
                raise Refused(f"holds no model of this study: {problems[0]}")
            self._models[neighbour, number] = model if said.trained else None

        if (neighbour, number) not in self._models:
            self._take(neighbour, f"{number:06d}", self._most, read)

    def _take(self, neighbour: str, name: str, most: int, read: Callable[[bytes], None]) -> None:
        key = f"{keys.gossip(self._study, neighbour, self._me)}/{name}"
        tag = self._there.get(neighbour, {}).get(name)
        public = self._keys(neighbour) if tag and (key, tag) not in self._done else None
        if public is None or tag is None:
            return
        raw: bytes | None = b""
        try:
            raw = self._store.get(key, most)
            if raw is None:
                return
            read(self._identity.open(public, raw))
        except Unavailable:
            raise
        except WardroundError as why:
            quarantine.put_aside(self._home.quarantine, neighbour, key, raw or b"", why.message)
        self._done.add((key, tag))

    def _keys(self, neighbour: str) -> PublicIdentity | None:
        """Pinned by the manifest; None where the store shows none, or others."""
        if neighbour not in self._public:
            try:
                public = self._keys_of(neighbour)
            except Refused:
                public = None
            if public is None or public.fingerprint != self._network.hospitals[neighbour]:
                if neighbour not in self._strange:
                    log.warning("study %s: the keys of %s are not those that it names", self._study[:12], neighbour)
                self._strange.add(neighbour)
                return None
            self._public[neighbour] = public
        return self._public[neighbour]
