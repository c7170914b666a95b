"""Whom a hospital knows: researchers who ask to connect, and those it trusts."""

from __future__ import annotations

import pandas as pd

from datasites.audit.entry import Kind
from datasites.audit.witness import forget, witnessed
from datasites.opened import OpenDatasite, person
from datasites.wire import protocol
from datasites.wire.decision import Decision
from datasites.wire.identity import PublicIdentity, check_email, same_fingerprint
from datasites.wire.peers import PinnedPeers
from policies.errors import InvalidInput, Refused


class Acquaintances(OpenDatasite):
    def peer_requests(self) -> pd.DataFrame:
        """Researchers who want to connect, with the fingerprints of their keys."""
        rows = [(email, self._published(email)) for email in self._connection.get_peer_requests()]
        shown = [(email, public.fingerprint if public else "") for email, public in rows]
        return pd.DataFrame(shown, columns=["researcher", "fingerprint"])

    def trust(self, email: str, fingerprint: str) -> None:
        """Accepts a researcher as a peer: they see the mock twins and may submit studies. Nothing runs by this.

        fingerprint: what the researcher read to you over the telephone. Raises Refused when their keys have another.
        """
        from datasites.wire.quiet import quiet

        address = check_email(email)
        public = self.researcher_keys(address)
        if not same_fingerprint(fingerprint, public.fingerprint):
            raise Refused(
                f"The fingerprint does not match: {address} shows {public.fingerprint}.",
                "Do not accept. Telephone the researcher: someone may be impersonating them.",
            )
        protocol.agreed(protocol.of(self._connection.store, public))
        self._connection.peers.expected[address] = public.fingerprint
        self.state.audit.record(Kind.PEER_ACCEPTED, peer=address, fingerprint=public.fingerprint)
        with self.home.syft_tree(), quiet():
            self._client.sync()
            self._client.approve_peer_request(address, verbose=False)
            self._client.sync()

    def distrust(self, email: str) -> list[Decision]:
        """Stops trusting a peer: its pinned keys are forgotten, nothing of it is read any more, and approvals of its
        studies are revoked, which are returned. Whoever comes by that address later is a stranger, whose fingerprint
        you compare. Of another hospital, it forgets what it has seen of its audit log. Raises InvalidInput for nobody
        that is known here.
        """
        address = check_email(email)
        peers = PinnedPeers(self.home.peers)
        entry = peers.all().get(address, {})
        known = [one.hospital for one in witnessed(self.state.audit) if one.hospital.email == address]
        if not entry and not known:
            raise InvalidInput(f"{address} is not known here.", "See: wardround datasite status")
        document = entry.get("public_encryption_bundle")
        keys = [PublicIdentity.parse(address, document)] if document else known
        self.state.audit.record(
            Kind.PEER_REMOVED, peer=address, fingerprint=keys[0].fingerprint if keys else "", by=person()
        )
        revoked = [
            self.office.take_back(one, reason="The hospital no longer trusts the keys it knew.", by=person())
            for one in (signed.decision for signed in self.state.current_decisions())
            if one.verdict == "approved" and address in self._researchers(one.study)
        ]
        with self.home.syft_tree():
            peers.forget(address)
        forget(self.state.audit, address)
        return [signed.decision for signed in revoked]

    def _researchers(self, study: str) -> set[str]:
        entries = self.state.audit.entries(study)
        return {str(entry.get("researcher")) for entry in entries if entry["kind"] == Kind.STUDY_RECEIVED}

    def researcher_keys(self, email: str) -> PublicIdentity:
        """The keys that someone who wants to connect has published. Raises InvalidInput if nobody does."""
        if email not in self._connection.get_peer_requests():
            raise InvalidInput(f"{email} has not asked to connect, or is a peer already.", "See the requests.")
        public = self._published(email)
        if public is None:
            raise InvalidInput(f"{email} has not published any keys yet.", "Ask them to connect again.")
        return public

    def next_peer_request(self, timeout: float = 600) -> str:
        """Waits until somebody wants to connect; returns the first one's address. Raises Unavailable at the end."""
        return self._wait(lambda: list(self.peer_requests()["researcher"]), timeout, "Nobody has asked to connect.")

    def _published(self, email: str) -> PublicIdentity | None:
        from datasites.wire.connection.directory import published_document

        document = published_document(self._connection, email)
        return PublicIdentity.parse(email, document) if document else None
