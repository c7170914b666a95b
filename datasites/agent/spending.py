"""What a round costs, in the private tier or with gate noise: set aside in the privacy ledger before anything runs.

The ledger settles it with the stored answer, in one transaction: charged once something ran, even if it then failed.
"""

from __future__ import annotations

import logging

from datasites.agent.admission import RoundRefused
from datasites.approval.policy import PolicyBook
from datasites.home import DatasiteHome
from datasites.ledger.errors import BudgetExceeded
from datasites.ledger.rows import Charge
from datasites.ledger.store import Ledger
from datasites.wire.manifest import Manifest
from datasites.wire.reasons import Reason
from datasites.wire.rounds import RoundRequest
from policies.errors import WardroundError
from policies.privacy.events import Event
from policies.privacy.plan import Plan

log = logging.getLogger(__name__)
Events = tuple[Event, ...]


class Spending:
    """The purse of one study. Studies of the reviewed tier have none where the policy adds no gate noise."""

    def __init__(self, home: DatasiteHome, ledger: Ledger, manifest: Manifest) -> None:
        self._policies = PolicyBook(home)
        self._ledger = ledger
        self._manifest = manifest

    def reserve(self, request: RoundRequest, digest: str) -> float | None:
        """Returns the gate noise that was paid for; None where there is none. digest: of the message.

        Raises RoundRefused, and then nothing is charged.
        """
        manifest = self._manifest
        try:
            policy = self._policies.get(manifest.dataset)
            noise = policy.release.gate_noise if manifest.asked is None else None
            if manifest.asked is None and noise is None:
                return None
            if noise is not None and request.evaluate:
                log.warning("study %s round %d: an evaluation has no noise", manifest.digest[:12], request.number)
                raise RoundRefused(Reason.OUTPUTS)
            plan, events = _priced(manifest, noise, request)
            charge = Charge(
                dataset=manifest.dataset,
                study=manifest.digest,
                researcher=manifest.researcher,
                round=request.number,
                request=digest,
                events=events,
                plan=plan,
            )
            self._ledger.reserve(charge, policy.budget)
        except WardroundError as why:
            log.warning("study %s round %d: %s", manifest.digest[:12], request.number, why)
            raise RoundRefused(Reason.BUDGET if isinstance(why, BudgetExceeded) else Reason.HOSPITAL) from None
        return noise


def _priced(manifest: Manifest, noise: float | None, request: RoundRequest) -> tuple[Events, Events]:
    """The events of the whole study, and of one round."""
    if manifest.asked is not None:
        return manifest.plan(manifest.rounds), manifest.events(request.fit, request.evaluate)
    plan = Plan.gate_noise(manifest.rounds, noise or 0.0)
    return plan.events, plan.per_round
