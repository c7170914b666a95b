"""The dashboard's queries as Grafana would ask them, and what a Prometheus answers: Grafana itself is not among the
sources of packages that the project builds from.

`python3 -I dashboard.py ADDRESS QUERIES` runs by itself in a container: QUERIES is JSON, `{name: PromQL}`.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "monitoring" / "dashboard.json"


def queries(rate_interval: str = "2m") -> dict[str, str]:
    """PromQL by panel and letter, of all hospitals. rate_interval: over which rates are taken, some scrapes long."""
    filled = {"$instance": ".*", "$__rate_interval": rate_interval}
    found = {}
    for panel in json.loads(FILE.read_text())["panels"]:
        for target in panel.get("targets", ()):
            query = str(target["expr"])
            for name, value in filled.items():
                query = query.replace(name, value)
            found[f"{panel['title']}/{target['refId']}"] = query
    return found


def asked(address: str, wanted: dict[str, str]) -> dict[str, int | str]:
    """By name: how many series Prometheus answers with, or what it says is wrong with the query."""
    found: dict[str, int | str] = {}
    for name, query in wanted.items():
        try:
            found[name] = len(_get(f"{address}/api/v1/query?{urllib.parse.urlencode({'query': query})}")["result"])
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            try:
                found[name] = str(json.loads(said)["error"])
            except ValueError:
                found[name] = said  # plain text, as of one that is not ready yet
    return found


def rules(address: str) -> dict[str, str]:
    """By alarm: `inactive`, `pending` or `firing`; where its rule could not be evaluated, what Prometheus says."""
    groups = _get(f"{address}/api/v1/rules")["groups"]
    return {r["name"]: r["state"] if r["health"] == "ok" else r["health"] for g in groups for r in g["rules"]}


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 # the caller's own Prometheus
        return json.load(answer)["data"]


if __name__ == "__main__":
    print(json.dumps({"queries": asked(sys.argv[1], json.loads(sys.argv[2])), "rules": rules(sys.argv[1])}))
