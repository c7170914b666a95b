"""Going on from a backup: what others know of the time since, and what that means for budget and approvals.

Fails closed. Where others have seen more of this hospital than the backup has, what was spent and revoked since is not
known: then no privacy budget can be used until its owner opens it, approvals are revoked, and the log owns up to what
it lost, in words that every witness and every reader of an export is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from datasites.audit import gaps
from datasites.audit.entry import Kind
from datasites.audit.heads import OwnHeads
from datasites.backup.put_back import mark
from datasites.home import DatasiteHome
from datasites.ledger.store import ALL_TABLES
from datasites.state import State, now
from datasites.wire import keys, successions
from datasites.wire.decision import Decision
from datasites.wire.gaps import Gap, SignedGap, covered
from datasites.wire.heads import SignedHead
from datasites.wire.identity import Identity
from datasites.wire.store import Store
from policies.errors import Refused


@dataclass(frozen=True)
class Outside:
    """What the store and witnesses know that this home does not.

    kept: entries of the log that go on. lost: the newest head of what does not; holders: who has seen it. rounds: by
    study, the newest round whose answer lies in the store, though no answer to it is known here.
    """

    kept: int
    lost: SignedHead | None = None
    holders: tuple[str, ...] = ()
    rounds: dict[str, int] = field(default_factory=dict)

    @property
    def newer(self) -> bool:
        return self.lost is not None or bool(self.rounds)


def look(home: DatasiteHome, identity: Identity, state: State, store: Store) -> Outside:
    """Raises Unavailable where the store cannot be asked, KeysForked where the keys here were replaced after the backup
    was made, and Refused where the log is not an older copy but another one."""
    successions.publish(store, identity)
    audit, marked, known = state.audit, mark(home), gaps.kept_gaps(state.audit)
    shown = [(who, one) for who, one in OwnHeads(identity, audit).shown(store) if not _covered(known, one)]
    shown += OwnHeads(identity, audit).kept()
    agree = [one for _, one in shown if one.head.size <= audit.size and _fits(state, one)]
    others = [(who, one) for who, one in shown if one not in agree]
    kept = marked.entries if marked and marked.entries else max([one.head.size for one in agree], default=0)
    wrong = [one for _, one in others if one.head.size <= kept]
    if wrong or kept == 0:
        raise Refused(
            "The audit log here is not an older copy of the one that others have seen, but another one.",
            "Find the right backup. If there is none, this datasite must be made anew (docs/lifecycle.md).",
        )
    lost = max((one for _, one in others), key=lambda one: one.head.size, default=None)
    holders = tuple(sorted({who for who, one in others if lost and one.head.size == lost.head.size}))
    return Outside(kept, lost, holders, _answered(identity.email, state, store))


def confirm(
    home: DatasiteHome,
    identity: Identity,
    state: State,
    store: Store,
    seen: Outside,
    take_back: Callable[[Decision], object],
) -> None:
    """Lets the agent serve again, after what `look` has found was heeded. take_back: revokes an approval. What a crash
    cuts off is done again from the start. For while no agent serves."""
    audit = state.audit
    if seen.newer:
        for signed in state.current_decisions():
            if signed.decision.verdict == "approved":
                take_back(signed.decision)
    root = audit.root(seen.kept).hex()
    with audit.transaction() as db:
        if seen.lost is None:
            audit.add(Kind.RESTORED, size=seen.kept, root=root)
        else:
            head = seen.lost.head
            at = max(now(), head.at)
            gap = Gap(hospital=identity.email, kept=seen.kept, root=root, lost=head.size, at=at)
            gaps.keep(db, SignedGap.sign(gap, identity))
            audit.add(
                Kind.RESTORED,
                size=seen.kept,
                root=root,
                lost=head.size,
                lost_root=head.root,
                signature=seen.lost.signature,
            )
        if seen.newer:
            audit.add(Kind.BUDGET_CLOSED, dataset=ALL_TABLES)
    OwnHeads(identity, audit).drop_lost(store)
    home.restored.unlink(missing_ok=True)


def _covered(known: tuple[SignedGap, ...], signed: SignedHead) -> bool:
    return covered(known, signed.head.size, signed.head.at) is not None


def _fits(state: State, signed: SignedHead) -> bool:
    return state.audit.root(signed.head.size).hex() == signed.head.root


def _answered(email: str, state: State, store: Store) -> dict[str, int]:
    """Answers in this hospital's name, by study: whether they are its own only it could tell, so each counts."""
    found: dict[str, int] = {}
    for signed in state.current_decisions():
        study = signed.decision.study
        last = state.last_round(study)
        for folder in store.folders(f"rounds/{keys.encode(study)}/up"):
            number = int(folder) if folder.isdecimal() else 0
            if number > max(last, found.get(study, 0)) and store.exists(keys.round_up(study, number, email)):
                found[study] = number
    return found
