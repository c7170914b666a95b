"""What a round of the private tier costs: set aside in the privacy ledger before anything runs.

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

log = logging.getLogger(__name__)


class Spending:
    """The purse of one study. Studies of the reviewed tier have none, and pay nothing here."""

    def __init__(self, home: DatasiteHome, ledger: Ledger, manifest: Manifest) -> None:
        self._policies = PolicyBook(home)
        self._ledger = ledger
        self._manifest = manifest

    def reserve(self, request: RoundRequest, digest: str) -> None:
        """digest: of the message. Raises RoundRefused, and then nothing is charged."""
        manifest, training = self._manifest, self._manifest.training
        if training is None:
            return
        events = training.events(request.fit, request.evaluate)
        try:
            charge = Charge(
                dataset=manifest.dataset,
                study=manifest.digest,
                researcher=manifest.researcher,
                round=request.number,
                request=digest,
                events=events,
                plan=training.plan(manifest.rounds),
            )
            self._ledger.reserve(charge, self._policies.get(manifest.dataset).budget)
        except WardroundError as why:
            log.warning("study %s round %d: %s", manifest.digest[:12], request.number, why)
            raise RoundRefused(Reason.BUDGET if isinstance(why, BudgetExceeded) else Reason.HOSPITAL) from None
