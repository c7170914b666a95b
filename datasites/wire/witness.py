"""Holding a hospital to the history it has shown: is a newer head of its audit log a continuation of the last one seen?

A verdict of `rewritten` rests on the hospital's own signatures alone; nothing that the store does can bring it about.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic import Field

from datasites.wire import heads
from datasites.wire.gaps import SignedGap, covered
from datasites.wire.heads import Publication, SignedHead
from datasites.wire.identity import PublicIdentity
from datasites.wire.merkle import consistent
from datasites.wire.store import Store
from datasites.wire.values import Email, Frozen

_AT_ONCE = 100  # a hospital keeps fewer heads in the store


class Verdict(StrEnum):
    NOTHING = "nothing"  # no head was ever seen
    CONSISTENT = "consistent"
    RESTORED = "restored"  # it says itself that entries which were seen are lost, and continues those before them
    UNPROVEN = "unproven"  # newer heads do not prove that they continue the one seen; they may yet
    REWRITTEN = "rewritten"  # it signed two histories


@dataclass(frozen=True)
class Sight:
    """`head`: the newest one that continues all seen before. `against`: the one that does not, if there is one; of a
    restored log, the one seen before that is of what was lost."""

    verdict: Verdict
    head: SignedHead | None = None
    against: SignedHead | None = None


class Memory(Frozen):
    """What a witness keeps of one hospital, newest last. `against`: heads that do not continue those in `heads`."""

    witness: Email
    hospital: Email
    verdict: Verdict = Field(default=Verdict.NOTHING, strict=False)
    heads: tuple[SignedHead, ...] = Field(default=(), strict=False)
    against: tuple[SignedHead, ...] = Field(default=(), strict=False)


def judge(seen: SignedHead | None, shown: Publication) -> Verdict:
    """What a publication, verified to be the hospital's, says about the head seen before."""
    if seen is None:
        return Verdict.CONSISTENT
    old, new = seen.head, shown.head.head
    if new.size < old.size:
        return Verdict.REWRITTEN if new.at > old.at else Verdict.CONSISTENT
    if new.size == old.size:
        return Verdict.CONSISTENT if new.root == old.root else Verdict.REWRITTEN
    proof = shown.proof_from(old.size)
    if proof is None:
        return Verdict.UNPROVEN
    good = consistent(old.size, bytes.fromhex(old.root), new.size, bytes.fromhex(new.root), proof)
    return Verdict.CONSISTENT if good else Verdict.REWRITTEN


def bridged(seen: SignedHead, shown: Publication) -> bool:
    """Whether the hospital says that what was seen is lost, and proves that its log goes on behind what was kept."""
    gap, new = covered(shown.gaps, seen.head.size, seen.head.at), shown.head.head
    if gap is None or new.at <= gap.at or new.size <= gap.kept:
        return False
    proof = shown.proof_from(gap.kept)
    if proof is None:
        return False
    return consistent(gap.kept, bytes.fromhex(gap.root), new.size, bytes.fromhex(new.root), proof)


def worse(left: Verdict, right: Verdict) -> Verdict:
    """That of a hospital of which both were found, one after the other: what is bad stays known."""
    return next((one for one in (Verdict.REWRITTEN, Verdict.RESTORED) if one in (left, right)), right)


class Watch:
    """Looks at hospitals' heads in the store, reading each once, and again where other bytes lie under its name."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: dict[str, str] = {}  # tags of what was read and found good, by name
        self._gaps: dict[str, tuple[SignedGap, ...]] = {}

    def look(self, hospital: PublicIdentity, seen: SignedHead | None) -> Sight:
        """`seen`: the newest head known to be good, None at first sight. Raises Unavailable."""
        unproven: SignedHead | None = None
        restored: SignedHead | None = None
        for name, tag, shown in self._news(hospital):
            verdict = judge(seen, shown)
            if seen and verdict in (Verdict.REWRITTEN, Verdict.UNPROVEN) and bridged(seen, shown):
                restored = seen if restored is None else restored
                seen, unproven, self._read[name] = shown.head, None, tag
                continue
            if verdict is Verdict.REWRITTEN:
                return Sight(verdict, seen, shown.head)
            if verdict is Verdict.UNPROVEN:
                unproven = shown.head
                continue
            self._read[name] = tag
            if seen is None or shown.head.head.size > seen.head.size:
                seen, unproven = shown.head, None
        if restored:
            return Sight(Verdict.RESTORED, seen, restored)
        if unproven:
            return Sight(Verdict.UNPROVEN, seen, unproven)
        return Sight(Verdict.CONSISTENT if seen else Verdict.NOTHING, seen)

    def _news(self, hospital: PublicIdentity) -> list[tuple[str, str, Publication]]:
        """(name, tag, publication), in the order of their sizes; without those of what the hospital says is lost: the
        store may still hold them."""
        names = [one for one in self._store.versions(heads.box(hospital.email)) if heads.size_of(one[0])]
        found = []
        for name, tag in names[-_AT_ONCE:]:
            if self._read.get(name) != tag and (shown := heads.read_publication(self._store, name, hospital)):
                found.append((name, tag, shown))
                if len(shown.gaps) > len(self._gaps.get(hospital.email, ())):
                    self._gaps[hospital.email] = shown.gaps
        gaps = self._gaps.get(hospital.email, ())
        return [one for one in found if covered(gaps, one[2].head.head.size, one[2].head.head.at) is None]
