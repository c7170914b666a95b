"""The dashboard and the alert rules speak of numbers that a datasite really tells, and of nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from datasites.audit.entry import Kind
from datasites.catalog.registry import RegisteredTable, Registry
from datasites.catalog.tables import TableSource
from datasites.datasite import Datasite
from datasites.monitoring.collector import DatasiteCollector, registry_of
from datasites.monitoring.report import check
from datasites.onboarding.authority import Authority
from datasites.state import AnsweredRound, now
from datasites.wire.decision import Decision, SignedDecision
from datasites.wire.dictionary import Dictionary
from tests.support.federation import DICTIONARY, POLICY, stays

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "compose" / "monitoring"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
RULES = [rule for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = {f"{p['title']}/{t['refId']}": t["expr"] for p in PANELS for t in p["targets"]}
RULE_QUERIES = {rule["alert"]: rule["expr"] for rule in RULES}
NOT_OURS = {"up": {"job"}, "node_textfile_mtime_seconds": {"file"}}  # Prometheus' own, and node-exporter's
SCRAPED = {"instance", "job"}  # labels that Prometheus adds

Told = dict[str, dict[str, set[str]]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """What a datasite tells at which there is something to tell of everything: labels and their values by name."""
    root = tmp_path_factory.mktemp("told")
    site = Datasite.create(root / "north", "do@north.org", f"file://{root}/store")
    Authority.create(root / "ca", "test", b"a passphrase")
    _happen(site, root)
    settings = site.settings.model_copy(update={"store_options": {"ca_file": str(root / "ca/ca.pem")}})
    collector = DatasiteCollector(site.home, settings)
    found: Told = {}
    for family in text_string_to_metric_families(generate_latest(registry_of(collector)).decode()):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    yield found
    collector.close()
    site.state.close()


def _happen(site: Datasite, root: Path) -> None:
    before, after = stays(1, 400), stays(1, 400).assign(days=90)
    for name, table in {"before": before, "after": after}.items():
        table.to_csv(root / f"{name}.csv", index=False)
    source = TableSource(path=root / "before.csv")
    Registry(site.home.datasets).add(RegisteredTable(source, Dictionary.load(DICTIONARY)))
    site.set_policy("stays", POLICY)
    assert check(site.home, site.state.audit, "stays", TableSource(path=root / "after.csv")).drifted
    decision = Decision(
        study="a" * 64,
        hospital="do@north.org",
        number=1,
        verdict="approved",
        rounds=3,
        expires_at=now() + pd.Timedelta(days=1),
        decided_at=now(),
    )
    site.state.record_decision(SignedDecision.sign(decision, site.identity))
    site.state.audit.record(Kind.ROUND_RECEIVED, study="a" * 64, round=1, request="r", bytes=1)
    site.state.record_answer("a" * 64, AnsweredRound(1, "r", "released", True, True, b"reply", now().isoformat(), 0.1))
    site.home.heartbeat.write_text(json.dumps({"pid": 1, "at": now().isoformat(), "problem": "", "peers_waiting": 0}))


def selectors(query: str) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Each metric that a query names, and its matchers: label, operator, value."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', lambda m: m.group().replace("{", "<").replace("}", ">"), query)
    names = re.findall(r"\b(wardround_\w+|node_\w+|up)\b(?:\{([^}]*)\})?", bare)
    return [(name, re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', inner)) for name, inner in names]


@pytest.mark.parametrize(("where", "query"), [*QUERIES.items(), *RULE_QUERIES.items()], ids=[*QUERIES, *RULE_QUERIES])
def test_a_query_asks_for_what_is_told(where: str, query: str, told: Told) -> None:
    found = selectors(query)
    assert found, where
    for name, matchers in found:
        labels = NOT_OURS.get(name, set(told.get(name, {}))) | SCRAPED
        assert name in told or name in NOT_OURS, f"{where}: nobody tells {name}"
        for label, operator, value in matchers:
            assert label in labels, f"{where}: {name} has no label {label}"
            if operator == "=" and label in told.get(name, {}):
                assert value in told[name][label], f"{where}: {name} is never told with {label}={value}"


@pytest.mark.parametrize("query", [*QUERIES.values(), *RULE_QUERIES.values()])
def test_a_query_groups_and_names_by_labels_that_are_there(query: str, told: Told) -> None:
    labels = {label for name, _ in selectors(query) for label in told.get(name, {})} | SCRAPED
    grouped = re.findall(r"\b(?:by|without)\s*\(([^)]*)\)", query)
    assert {label.strip() for group in grouped for label in group.split(",")} <= labels
    assert query.count("(") == query.count(")")


def test_every_legend_names_labels_that_are_there(told: Told) -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            labels = {label for name, _ in selectors(target["expr"]) for label in told.get(name, {})}
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels, panel["title"]


def test_what_an_alert_says_names_labels_that_are_there(told: Told) -> None:
    for rule in RULES:
        labels = {label for name, _ in selectors(rule["expr"]) for label in told.get(name, {})}
        said = " ".join(rule["annotations"].values())
        assert set(re.findall(r"\$labels\.(\w+)", said)) <= labels, rule["alert"]
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert set(rule["annotations"]) == {"summary", "description"}
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_panels_lie_beside_each_other_and_ask_the_chosen_source() -> None:
    everything = DASHBOARD["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    for panel in everything:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
    for one, other in combinations([panel["gridPos"] for panel in everything], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = {name for q in QUERIES.values() for name in re.findall(r"\$(\w+)", q)} - {"__rate_interval"}
    assert used <= variables
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${datasource}"}


def test_everything_that_is_told_is_explained(told: Told) -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text()
    bases = {re.sub(r"_(bucket|sum|count)$", "", name) for name in told}
    assert sorted(name for name in bases if f"`{name}`" not in page) == []
    assert sorted(name for name in re.findall(r"`(wardround_\w+)`", page) if name not in bases) == []
    assert [rule["alert"] for rule in RULES if rule["alert"] not in page] == []


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is in Debian's package prometheus")
def test_prometheus_own_tool_takes_the_rules() -> None:
    for argv in (
        ["check", "rules", "alerts.yaml"],
        ["test", "rules", "alerts.test.yaml"],
        ["check", "config", "prometheus.yaml"],
    ):
        subprocess.run(["promtool", *argv], cwd=FOLDER, check=True, capture_output=True, timeout=60)
