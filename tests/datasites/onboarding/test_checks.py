"""A doctor's findings: each tells what is wrong, and what to do."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from datasites import cli
from datasites.datasite import Datasite
from datasites.onboarding.authority import Authority
from datasites.onboarding.checks import clock, dated
from datasites.onboarding.finding import Finding
from tests.support.federation import DICTIONARY, stays
from tests.support.front import PASSPHRASE, Front, serve_front

Doctor = Callable[..., tuple[int, dict[str, dict[str, Any]]]]


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Runs `wardround doctor`: (exit code, findings by what they are of)."""
    monkeypatch.setenv("WARDROUND_PASSPHRASE", PASSPHRASE.decode())

    def run(home: Path) -> tuple[int, dict[str, dict[str, Any]]]:
        monkeypatch.setattr(sys, "argv", ["wardround", "doctor", "--json", "--home", str(home)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = json.loads(capsys.readouterr().out)
        return int(ended.value.code or 0), {one["what"]: one for one in said["findings"]}

    return run


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with serve_front(tmp_path_factory.mktemp("front")) as served:
        yield served


@pytest.fixture
def home(front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WARDROUND_PASSPHRASE", PASSPHRASE.decode())
    certificate = front.certificate("do@north.org")
    Datasite.create(tmp_path / "north", "do@north.org", front.url, "North", front.options(certificate)).state.close()
    return tmp_path / "north"


def change(home: Path, **options: object) -> None:
    """Changes a line of the settings."""
    path = home / "datasite.toml"
    lines = path.read_text().splitlines()
    for name, value in options.items():
        lines = [f'{name} = "{value}"' if line.startswith(f"{name} =") else line for line in lines]
    path.write_text("\n".join(lines) + "\n")


def test_a_datasite_that_can_take_part(doctor: Doctor, home: Path) -> None:
    code, found = doctor(home)
    assert code == 0
    assert all(found[name]["ok"] for name in ("keys", "authority", "certificate", "store", "rights", "clock"))
    assert "publish" in found["tables"]["mend"]


@pytest.mark.parametrize(
    ("options", "what", "said", "mend"),
    [
        ({"aws_endpoint": "https://no-such-host.invalid:1"}, "store", "no machine is called", "name server"),
        ({"aws_endpoint": "https://localhost:9"}, "store", "does not answer", "firewall"),
        ({"aws_endpoint": "https://127.0.0.2:PORT"}, "store", "does not answer", "firewall"),
        ({"certificate_file": "none.pem"}, "certificate", "cannot be read", "invitation again"),
        ({"ca_file": "OTHER"}, "certificate", "is not signed by the authority", "new invitation"),
        ({"ca_file": "OTHER"}, "store", "does not prove that it is the store", "Do not go on"),
    ],
    ids=str,
)
def test_what_is_wrong_and_what_to_do(
    doctor: Doctor, home: Path, front: Front, tmp_path: Path, options: dict[str, str], what: str, said: str, mend: str
) -> None:
    Authority.create(tmp_path / "other", "another", PASSPHRASE)
    other, port = str(tmp_path / "other/ca.pem"), str(front.port)
    change(home, **{n: v.replace("OTHER", other).replace("PORT", port) for n, v in options.items()})
    code, found = doctor(home)
    assert code == 1
    assert found[what]["ok"] is False
    assert said in found[what]["found"]
    assert mend in found[what]["mend"]


def test_a_certificate_that_has_ended_and_one_that_soon_will(doctor: Doctor, home: Path, front: Front) -> None:
    front.certificate("do@north.org", days=20)
    code, found = doctor(home)
    assert (code, found["certificate"]["ok"]) == (0, None)
    assert "new invitation" in found["certificate"]["mend"]
    front.certificate("do@north.org", days=1e-5)
    time.sleep(1.5)
    code, found = doctor(home)
    assert (code, found["certificate"]["ok"], found["store"]["ok"]) == (1, False, False)
    assert "expired" in found["store"]["found"]


def test_a_key_whose_passphrase_is_not_known(doctor: Doctor, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDROUND_PASSPHRASE", "another passphrase")
    code, found = doctor(home)
    assert (code, found["store"]["ok"]) == (1, False)
    assert "passphrase" in found["store"]["mend"]


def test_a_table_that_is_away_or_no_longer_fits(doctor: Doctor, tmp_path: Path) -> None:
    table = tmp_path / "stays.csv"
    stays(1, 30).to_csv(table, index=False)
    site = Datasite.create(tmp_path / "north", "do@north.org", f"file://{tmp_path}/store")
    site.publish(DICTIONARY, table)
    site.state.close()
    code, found = doctor(tmp_path / "north")
    assert (code, found["table stays"]["ok"]) == (0, True)
    assert found["rights"]["ok"] is None  # a folder knows no rights, and says so
    assert "delete" in found["rights"]["found"]
    stays(1, 30).assign(days=8675309).to_csv(table, index=False)
    code, found = doctor(tmp_path / "north")
    assert (code, found["table stays"]["ok"]) == (1, False)
    assert "8675309" not in json.dumps(found)
    table.unlink()
    assert doctor(tmp_path / "north")[1]["table stays"]["ok"] is False
    stays(1, 30).to_csv(table, index=False)
    for card in (tmp_path / "store/coll").iterdir():
        card.rename(tmp_path / "gone")
    found = doctor(tmp_path / "north")[1]
    assert (found["table stays"]["ok"], "Publish" in found["table stays"]["mend"]) == (False, True)


def test_a_folder_without_a_datasite_and_damaged_settings(doctor: Doctor, tmp_path: Path) -> None:
    code, found = doctor(tmp_path)
    assert (code, found["datasite"]["ok"]) == (0, None)
    (tmp_path / "datasite.toml").write_text("email =")
    code, found = doctor(tmp_path)
    assert (code, found["datasite"]["ok"]) == (1, False)


@pytest.mark.parametrize(
    ("skew", "ok"), [(0, True), (-20, True), (100, None), (-100, None), (1000, False), (-1000, False)]
)
def test_a_clock_that_is_off(skew: float, ok: bool | None) -> None:
    now = datetime.now(UTC)
    finding = clock(now - timedelta(seconds=skew), now)
    assert finding.ok is ok
    assert ("ahead of" in finding.found) == (skew > 0)
    assert bool(finding.mend) == (ok is not True)


def test_a_certificate_that_is_not_in_force_yet_is_a_clocks_fault(front: Front) -> None:
    certificate = x509.load_pem_x509_certificate((front.folder / "store/store.pem").read_bytes())
    finding: Finding = dated(certificate, "certificate", datetime.now(UTC) - timedelta(days=2))
    assert (finding.ok, "clock" in finding.mend) == (False, True)
