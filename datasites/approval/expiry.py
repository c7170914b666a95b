"""When an approval ends, as a person writes it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from datasites.state import now
from policies.errors import InvalidInput


def until(text: str) -> datetime:
    """The moment meant by a date (its first, in UTC) or by a number of days, `30d`. Raises InvalidInput."""
    days = re.fullmatch(r"(\d{1,4})d", text.strip())
    if days:
        return now() + timedelta(days=int(days[1]))
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidInput(f"{text!r} is not a date.", "Write 2027-01-31, or 30d for thirty days.") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
