"""What the ledger refuses, in words for the data owner; the researcher reads only `Reason.BUDGET`."""

from __future__ import annotations

from policies.errors import Refused


class BudgetExceeded(Refused):
    """The release would spend more than one of the table's limits allows. Nothing was charged."""


class LedgerDamaged(Refused):
    """The ledger is not what the audit log says was written: rows were lost, changed or rolled back."""
