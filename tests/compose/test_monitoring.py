"""The dashboard and the alert rules speak of numbers that a datasite really tells, and of nothing else."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from compose import dashboard
from datasites.audit.entry import Kind
from datasites.catalog.registry import RegisteredTable, Registry
from datasites.catalog.tables import TableSource
from datasites.datasite import Datasite
from datasites.monitoring import endpoint
from datasites.monitoring.collector import DatasiteCollector, registry_of
from datasites.monitoring.report import check
from datasites.onboarding.authority import Authority
from datasites.state import AnsweredRound, now
from datasites.wire.decision import Decision, SignedDecision
from datasites.wire.dictionary import Dictionary
from tests.support.federation import DICTIONARY, POLICY, stays, wait_for
from tests.support.s3 import _free_port

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "compose" / "monitoring"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
RULES = [rule for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = {f"{p['title']}/{t['refId']}": t["expr"] for p in PANELS for t in p["targets"]}
RULE_QUERIES = {rule["alert"]: rule["expr"] for rule in RULES}
NOT_OURS = {"up": {"job"}, "node_textfile_mtime_seconds": {"file"}}  # Prometheus' own, and node-exporter's
SCRAPED = {"instance", "job"}  # labels that Prometheus adds

STUDY = "a" * 64

Told = dict[str, dict[str, set[str]]]


@dataclass(frozen=True)
class Telling:
    """A datasite at which there is something to tell of everything."""

    site: Datasite
    registry: CollectorRegistry

    def beat(self) -> None:
        """As an agent that serves does."""
        told = {"pid": 1, "at": now().isoformat(), "problem": "", "peers_waiting": 0}
        self.site.home.heartbeat.write_text(json.dumps(told))

    def answer(self, number: int) -> None:
        self.site.state.audit.record(Kind.ROUND_RECEIVED, study=STUDY, round=number, request=f"r{number}", bytes=1)
        answered = AnsweredRound(number, f"r{number}", "released", True, True, b"reply", now().isoformat(), 0.1)
        self.site.state.record_answer(STUDY, answered)


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telling]:
    root = tmp_path_factory.mktemp("told")
    site = Datasite.create(root / "north", "do@north.org", f"file://{root}/store")
    authority = Authority.create(root / "ca", "test", b"a passphrase")
    (root / "own.pem").write_bytes(authority.issue("do@north.org", "hospital", days=40)[0])
    files = {"ca_file": str(root / "ca/ca.pem"), "certificate_file": str(root / "own.pem")}
    settings = site.settings.model_copy(update={"store_options": files})
    collector = DatasiteCollector(site.home, settings, fresh_seconds=0)
    made = Telling(site, registry_of(collector))
    _happen(made, root)
    yield made
    collector.close()
    site.state.close()


@pytest.fixture(scope="module")
def told(telling: Telling) -> Told:
    """Labels and their values by name."""
    found: Told = {}
    for family in text_string_to_metric_families(generate_latest(telling.registry).decode()):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return found


def _happen(telling: Telling, root: Path) -> None:
    site = telling.site
    before, after = stays(1, 400), stays(1, 400).assign(days=90)
    for name, table in {"before": before, "after": after}.items():
        table.to_csv(root / f"{name}.csv", index=False)
    source = TableSource(path=root / "before.csv")
    Registry(site.home.datasets).add(RegisteredTable(source, Dictionary.load(DICTIONARY)))
    site.set_policy("stays", POLICY)
    assert check(site.home, site.state.audit, "stays", TableSource(path=root / "after.csv")).drifted
    decision = Decision(
        study=STUDY,
        hospital="do@north.org",
        number=1,
        verdict="approved",
        rounds=3,
        expires_at=now() + pd.Timedelta(days=1),
        decided_at=now(),
    )
    site.state.record_decision(SignedDecision.sign(decision, site.identity))
    telling.answer(1)
    telling.beat()


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


def test_the_certificate_that_ends_first_is_told(telling: Telling) -> None:
    ends = telling.registry.get_sample_value("wardround_store_certificate_expiry_timestamp_seconds")
    assert ends is not None
    assert ends - now().timestamp() < 41 * 86400  # the participant's own; the authority's is good for ten years


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is in Debian's package prometheus")
def test_prometheus_own_tool_takes_the_rules() -> None:
    for argv in (
        ["check", "rules", "alerts.yaml"],
        ["test", "rules", "alerts.test.yaml"],
        ["check", "config", "prometheus.yaml"],
    ):
        subprocess.run(["promtool", *argv], cwd=FOLDER, check=True, capture_output=True, timeout=60)


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="Debian's package prometheus is not installed")
def test_a_prometheus_answers_every_query_of_the_dashboard(telling: Telling, tmp_path: Path) -> None:
    config: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(FOLDER / "alerts.yaml")]
    with endpoint.served("127.0.0.1:0", telling.registry) as page:
        config["scrape_configs"][0]["static_configs"] = [{"targets": [page.split("/")[2]]}]
        (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(config))
        with prometheus(tmp_path) as address:
            telling.beat()
            seen = {"seen": "wardround_rounds_answered_total"}
            looked = lambda: dashboard.asked(address, seen)["seen"] not in (0, "Service Unavailable")  # noqa: E731
            wait_for(looked, "the datasite is not looked at", pause=0.2)
            telling.answer(2)

            def silent() -> list[str]:
                telling.beat()
                answers = dashboard.asked(address, dashboard.queries("1m"))
                assert not [said for said in answers.values() if isinstance(said, str)]
                return [query for query, series in answers.items() if not series]

            wait_for(lambda: not silent(), "a query of the dashboard is not answered", pause=0.5)
            rules: dict[str, str] = {}

            def judged() -> bool:
                rules.update(dashboard.rules(address))
                return "unknown" not in rules.values() and rules["WardroundDrift"] == "firing"

            wait_for(judged, "the rules are not evaluated, or do not see the drift", pause=0.2)
    assert set(rules) == {rule["alert"] for rule in RULES}
    assert set(rules.values()) <= {"inactive", "pending", "firing"}, rules
    assert rules["WardroundLedgerDamaged"] == "inactive"


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextmanager
def prometheus(folder: Path) -> Iterator[str]:
    """One that runs by folder/prometheus.yaml; gives its address."""
    port = _free_port()
    argv = [f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data", "--log.level=error"]
    process = subprocess.Popen(["prometheus", *argv, f"--web.listen-address=127.0.0.1:{port}"])
    try:
        wait_for(lambda: _listens(port), "Prometheus does not start", pause=0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)
