from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from datasites.approval.packet import Packet
from datasites.datasite import Datasite
from datasites.wire.identity import Identity
from tests.support.submissions import CODE, deliver, manifest

Submit = Callable[..., Packet]


@pytest.fixture
def submit(site: Datasite, ada: Identity) -> Submit:
    """Submits Ada's study, but for the changes, and opens its packet."""

    def put(code: dict[str, bytes] | None = None, **changes: Any) -> Packet:
        files = CODE | (code or {})
        asked = manifest(files, **changes)
        deliver(site, asked, ada, files)
        return site.packet(asked.digest)

    return put
