"""Of all tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# The same examples at every run, however slow the machine: a change fails, and not a day. To look for new ones:
# pytest --hypothesis-profile=search
settings.register_profile("sure", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", settings.get_profile("sure"), derandomize=False, max_examples=2000)
settings.load_profile("sure")
