"""What a hospital's own program is given to do: the approved request, and how its noise is shared, if it is."""

from __future__ import annotations

from datasites.wire.marginals import Marginals
from datasites.wire.statistics import Statistics
from datasites.wire.training import Training
from datasites.wire.values import Frozen
from policies.privacy.sharing import Sharing


class Work(Frozen):
    """sharing: of the noise of counts; None where this hospital adds all of it."""

    asked: Training | Statistics | Marginals
    sharing: Sharing | None = None
