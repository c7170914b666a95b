"""What compose.yaml promises a hospital, read from the file itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from compose import provision
from compose.containers import FILE, MONITORS, SERVICES
from compose.provision import HOSPITALS, PARTICIPANTS
from datasites.monitoring.endpoint import parsed

CONTENT: dict[str, Any] = yaml.safe_load(FILE.read_text())
TARGETS = {"invitation", "invitation_passphrase", "passphrase", "pseudonyms"}
SERVICE: dict[str, dict[str, Any]] = CONTENT["services"]


ALL = (*SERVICES, *MONITORS)


def networks(service: str) -> set[str]:
    return set(SERVICE[service].get("networks", ()))


def members(network: str) -> set[str]:
    return {name for name in SERVICE if network in networks(name)}


def test_the_services_are_those_that_the_commands_know() -> None:
    assert set(SERVICE) == set(ALL)
    assert {name: one["container_name"] for name, one in SERVICE.items()} == {n: f"wardround-{n}" for n in ALL}
    assert {name for name, one in SERVICE.items() if "profiles" not in one} == set(SERVICES)
    assert {name for name, one in SERVICE.items() if one.get("profiles") == ["monitoring"]} == set(MONITORS)


@pytest.mark.parametrize(("hospital", "monitor"), list(zip(HOSPITALS, MONITORS, strict=True)))
def test_a_hospitals_numbers_are_told_on_its_own_loopback_alone(hospital: str, monitor: str) -> None:
    """So that its Prometheus joins no network, and nobody on the hospital's can ask either of them."""
    one = SERVICE[monitor]
    assert one["network_mode"] == f"service:{hospital}"
    assert not {"networks", "ports", "secrets"} & set(one)
    assert one["volumes"] == [f"{hospital}-metrics:/var/lib/prometheus"]
    told = SERVICE[hospital]["environment"]["WARDROUND_METRICS"]
    assert parsed(told) == ("127.0.0.1", 9464)
    scraped = yaml.safe_load((FILE.parent / "monitoring/prometheus.yaml").read_text())["scrape_configs"]
    assert [config["static_configs"] for config in scraped] == [[{"targets": [told]}]]
    assert "--web.listen-address=127.0.0.1:9090" in (FILE.parent / "start/prometheus.sh").read_text()


@pytest.mark.parametrize("hospital", HOSPITALS)
def test_a_hospital_meets_the_store_and_nobody_else(hospital: str) -> None:
    (own,) = networks(hospital)
    assert members(own) == {hospital, "store"}
    assert CONTENT["networks"][own] == {"internal": True}


def test_no_port_is_published_but_the_notebooks_to_this_machine() -> None:
    published = {name: one["ports"] for name, one in SERVICE.items() if "ports" in one}
    assert set(published) == {"researcher"}
    assert all(port.startswith("127.0.0.1:") for port in published["researcher"])
    assert not any("expose" in one or "network_mode" in one for name, one in SERVICE.items() if name in SERVICES)


def test_only_the_researcher_has_a_way_out() -> None:
    open_ones = {name for name, one in CONTENT["networks"].items() if not one.get("internal")}
    assert {service for network in open_ones for service in members(network)} == {"researcher"}


@pytest.mark.parametrize("service", ALL)
def test_a_container_is_confined(service: str) -> None:
    one = SERVICE[service]
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert "cap_add" not in one
    assert "privileged" not in one
    assert "no-new-privileges" in one["security_opt"]
    assert one["user"].startswith("${WARDROUND_UID:-10001}")
    assert one["mem_limit"]
    assert one["cpus"]
    assert one["pids_limit"]
    assert one["healthcheck"]["test"][-1] in ("datasite", "store", "researcher", "prometheus")
    for mount in one["tmpfs"]:
        assert "size=" in mount
        assert "noexec,nosuid,nodev" in mount


@pytest.mark.parametrize("service", ALL)
def test_only_a_named_volume_can_be_written(service: str) -> None:
    for mount in SERVICE[service]["volumes"]:
        source, _, rest = mount.partition(":")
        assert source in CONTENT["volumes"] or rest.endswith(":ro")


def test_the_system_paths_are_whole_only_where_studies_run() -> None:
    whole = {name for name, one in SERVICE.items() if any("SYSTEM_PATHS" in option for option in one["security_opt"])}
    assert whole == {*HOSPITALS, "researcher"}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    local = tmp_path_factory.mktemp("provisioned")
    provision.provision(local)
    return local


def test_no_secret_is_in_the_environment(local: Path) -> None:
    text = FILE.read_text()
    secrets = [path.read_text() for path in local.glob("secrets/*passphrase")] + [
        (local / "secrets/jupyter.token").read_text(),
        (local / "authority.passphrase").read_text(),
    ]
    assert len(secrets) == 10
    assert not any(secret in text for secret in secrets)
    # and the file hands on no variable of whoever runs it, but the four that tell accounts, paths and ports
    for one in SERVICE.values():
        assert not any("${" in str(value) or value is None for value in one.get("environment", {}).values())
        assert "env_file" not in one


def test_every_secret_is_a_file_that_provisioning_makes_and_each_is_given_to_one(local: Path) -> None:
    for secret in CONTENT["secrets"].values():
        assert (local / Path(secret["file"]).relative_to("local")).is_file()
    given = [(secret, name) for name, one in SERVICE.items() for secret in one.get("secrets", ())]
    sources = [secret if isinstance(secret, str) else secret["source"] for secret, _ in given]
    assert sorted(sources) == sorted(CONTENT["secrets"])  # each once
    for secret, name in given:
        assert secret == "jupyter_token" or secret["source"] == f"{name}_{secret['target']}"
    for label in PARTICIPANTS:
        wanted = {f"{label}_{what}" for what in ("invitation", "invitation_passphrase", "passphrase")}
        assert wanted <= set(sources)


def test_nothing_of_the_authority_is_given_to_a_container_but_what_the_store_needs(local: Path) -> None:
    mounts = {m.split(":")[0]: name for name, one in SERVICE.items() for m in one["volumes"] if m.startswith("./local")}
    assert mounts.pop("./local/consortium/store") == "store"
    assert not any("consortium" in path or "authority" in path or path == "./local" for path in mounts)
    assert not any("consortium" in str(secret) or "authority" in str(secret) for secret in CONTENT["secrets"].values())
    assert not any("PRIVATE" in p.read_text() for p in (local / "consortium/store").iterdir() if p.name != "store.key")


@pytest.mark.parametrize("hospital", HOSPITALS)
def test_a_hospital_has_its_own_table_home_and_address(hospital: str) -> None:
    one = SERVICE[hospital]
    assert f"{hospital}-home:/var/lib/wardround" in one["volumes"]
    assert f"./local/tables/{hospital}.csv:/data/table.csv:ro" in one["volumes"]
    assert {secret["target"] for secret in one["secrets"]} == TARGETS
    assert not {"WARDROUND_EMAIL", "WARDROUND_STORE", "WARDROUND_STORE_OPTIONS"} & set(one["environment"])
