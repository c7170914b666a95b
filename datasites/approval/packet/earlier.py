"""Which approved study a new one is to be compared with."""

from __future__ import annotations

from collections.abc import Iterator

from datasites.approval.packet.changes import Earlier
from datasites.approval.vault import Vault
from datasites.state import State
from datasites.wire.manifest import Manifest
from policies.errors import WardroundError


def nearest_approved(manifest: Manifest, state: State, vault: Vault) -> Earlier | None:
    """Of what was approved here under the same name, for the same researcher and table: the same work if there is such,
    else what was approved last before a decision on this study itself."""
    own = state.decisions(manifest.digest)
    until = own[0].decision.decided_at if own else None
    found = [one for one in _approved(manifest, state, vault) if until is None or one.approved.decided_at <= until]
    same = [one for one in found if one.manifest.first == manifest.first]
    return max(same or found, key=lambda one: one.approved.decided_at, default=None)


def _approved(manifest: Manifest, state: State, vault: Vault) -> Iterator[Earlier]:
    now = {signed.decision.study: signed.decision for signed in state.current_decisions()}
    approvals = {s.decision.study: s.decision for s in state.decisions() if s.decision.verdict == "approved"}
    for digest in approvals.keys() - {manifest.digest}:
        try:
            other = vault.manifest(digest)
            if _same_study(other, manifest):
                yield Earlier(other, vault.files(digest), approvals[digest], now[digest])
        except WardroundError:
            continue  # damaged on this disk: nothing can be compared with it, and the agent refuses to run it


def _same_study(one: Manifest, other: Manifest) -> bool:
    return (one.name, one.researcher, one.dataset) == (other.name, other.researcher, other.dataset)
