"""What a study would cost of the table's privacy budget, against what is left of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from datasites.approval.packet.document import Block, Facts, Paragraph
from policies.privacy.accounting import epsilon
from policies.privacy.renyi import admission_epsilon

if TYPE_CHECKING:
    from datasites.approval.packet.packet import Packet

_NO_BUDGET = "the table's policy has no privacy budget, so nothing can be paid for"


def standing(packet: Packet) -> dict[str, float] | None:
    """In numbers; None for a study that has no noise, or a table that has no budget.

    study: its epsilon. left: of the epsilon of all studies, before it; with_it: what would be left after it.
    """
    policy, events = packet.ruling.policy, packet.planned
    if policy is None or policy.budget is None or not events:
        return None
    budget = policy.budget
    total, delta = budget.epsilon_total, budget.delta
    return {
        "study": epsilon(events, delta),
        "allowed": budget.epsilon_per_study,
        "left": total - admission_epsilon(packet.spent, delta),
        "with_it": total - admission_epsilon((*packet.spent, *events), delta),
        "total": total,
        "delta": delta,
    }


def costs(packet: Packet) -> Iterator[Block]:
    told = standing(packet)
    if told is None:
        why = (
            "what leaves has no noise, and so no guarantee that could be counted" if not packet.planned else _NO_BUDGET
        )
        yield Paragraph(f"Nothing is charged: {why}.")
        return
    over = told["study"] > told["allowed"]
    yield Paragraph(
        f"It would use epsilon {told['study']:.3g} of the {told['allowed']:g} allowed a study; "
        f"{max(told['left'], 0):.3g} of {told['total']:g} are left for all studies.",
        "bad" if over else "good",
    )
    if told["with_it"] < 0:
        yield Paragraph("That is less than it needs: its rounds would be refused, as the budget stands.", "bad")
    yield Facts(
        [
            ("This study", bar(told["study"], told["allowed"])),
            ("All studies before it", bar(told["total"] - told["left"], told["total"])),
            ("All studies with it", bar(told["total"] - told["with_it"], told["total"])),
            ("Delta", f"{told['delta']:g}: the chance, at most, that this promise fails for a patient"),
        ]
    )
    yield Paragraph("All studies together count as more than was proven to be spent, as in: wardround budget.", "quiet")


def bar(spent: float, limit: float, width: int = 20) -> str:
    """A gauge that every drawing can show."""
    full = min(width, round(width * spent / limit))
    return f"{'█' * full}{'░' * (width - full)} {spent:.3g} of {limit:g}"
