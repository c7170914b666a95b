"""Whether each hospital's Prometheus sees its own agent and nobody else sees either, asked after a study."""

from __future__ import annotations

import json
from collections.abc import Iterator

from compose import dashboard
from compose.containers import MONITORS, inside, wait_until_healthy
from compose.e2e.walls import address, knock
from compose.provision import HOSPITALS

_AT = "http://127.0.0.1:9090"
# No table was compared with a newer one here, and once the study is over no approval is in force that could end.
_MAY_BE_EMPTY = {"Columns that drifted/A", "Since the last comparison/A", "Ends in/A"}
_PORTS = (9090, 9464)  # of Prometheus and of the agent, on loopback
_LONG = "30m"  # over which rates are taken, so that the study is in it


def findings() -> Iterator[tuple[str, str, bool]]:
    """(what was tried, what came of it, whether it is as it should be), one after the other."""
    wait_until_healthy(*MONITORS)
    wanted = dashboard.queries(_LONG)
    for hospital, monitor in zip(HOSPITALS, MONITORS, strict=True):
        told = json.loads(inside(monitor, "python3", "-I", "/opt/start/dashboard.py", _AT, json.dumps(wanted)))
        wrong = {name: said for name, said in told["queries"].items() if isinstance(said, str)}
        empty = {name for name, said in told["queries"].items() if said == 0}
        good = not wrong and empty <= _MAY_BE_EMPTY
        said = f"{len(wanted) - len(empty)} of {len(wanted)}; nothing for {', '.join(sorted(empty)) or 'none'}"
        yield f"{hospital}'s Prometheus answers the dashboard", json.dumps(wrong) if wrong else said, good
        states = set(told["rules"].values())
        firing = [name for name, state in told["rules"].items() if state == "firing"]
        yield (
            f"{hospital}'s alarms",
            f"{len(told['rules'])} rules; firing: {', '.join(firing) or 'none'}",
            (states <= {"inactive", "pending", "firing"}),
        )
        reached = {knock("store", address(hospital), port) for port in _PORTS}
        yield f"the store reaches {hospital}'s numbers", ", ".join(reached), reached == {"Connection refused"}
