"""What a data owner's mistakes cost: one sentence, an exit code, and never a traceback."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

import researcher as wr
from datasites import cli
from datasites.datasite import Datasite
from datasites.state import now
from tests.support.federation import DICTIONARY, stays
from tests.support.s3 import S3, SECRET

Wardround = Callable[..., tuple[int, str, str]]


@pytest.fixture
def wardround(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Wardround:
    """Runs the command in this process: (exit code, stdout, stderr) with line breaks as spaces."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["wardround", "datasite", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), " ".join(said.out.split()), " ".join(said.err.split())

    return run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A datasite with a published table and a researcher who asks to connect; no agent."""
    root = tmp_path_factory.mktemp("cli")
    stays(1, 30).to_csv(root / "stays.csv", index=False)
    site = Datasite.create(root / "north", "do@north.org", f"file://{root}/store", name="North")
    site.publish(DICTIONARY, root / "stays.csv")
    site.state.close()
    (root / "federation.toml").write_text(f'store = "file://{root}/store"\n[hospitals.north]\nemail = "do@north.org"\n')
    wr.connect(root / "federation.toml", "ada@uni.org", home=root / "ada")
    return root


def test_init_makes_a_private_datasite(wardround: Wardround, tmp_path: Path) -> None:
    code, out, _ = wardround("init", "--email", "DO@b.org", "--store", f"file://{tmp_path}/s", "--home", tmp_path / "b")
    assert code == 0
    assert "do@b.org" in out
    assert Datasite(tmp_path / "b").fingerprint in out
    assert (tmp_path / "b").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("init", "--email", "do@north.org", "--store", "file:///x", "--home", "HOME"), 3, "There is a datasite in"),
        (("init", "--email", "north", "--store", "file:///x", "--home", "NEW"), 1, "'north' is not an e-mail address"),
        (("init", "--email", "do@b.org", "--store", "ftp://x", "--home", "NEW"), 1, "store address 'ftp://x'"),
        (("status", "--home", "NEW"), 1, "There is no datasite in"),
        (("serve", "--home", "NEW"), 1, "There is no datasite in"),
        (("approve", "nothing", "--home", "HOME"), 1, "There is no study 'nothing' here"),
        (("show", "nothing", "--home", "HOME"), 1, "There is no study 'nothing' here"),
        (("deny", "nothing", "--reason", "x", "--home", "HOME"), 1, "There is no study 'nothing' here"),
        (("revoke", "nothing", "--reason", "x", "--home", "HOME"), 1, "There is no study 'nothing' here"),
        (("approve", "s", "--expires", "soon", "--home", "HOME"), 1, "'soon' is not a date"),
        (("approve", "s", "--expires", "2027-13-45", "--home", "HOME"), 1, "'2027-13-45' is not a date"),
        (("publish", "--table", "NEW", "--dictionary", "DICTIONARY", "--home", "HOME"), 1, "table"),
        (("publish", "--table", "TABLE", "--dictionary", "NEW", "--home", "HOME"), 1, "dictionary"),
        (("publish", "--dictionary", "DICTIONARY", "--home", "HOME"), 1, "table"),
        (("trust", "ada@uni.org", "--fingerprint", "0000 1111", "--home", "HOME"), 3, "fingerprint does not match"),
        (("trust", "eve@uni.org", "--fingerprint", "0000", "--home", "HOME"), 1, "eve@uni.org has not asked"),
        (("trust", "eve", "--home", "HOME"), 1, "'eve' is not an e-mail address"),
        (("deny", "study"), 2, "--reason"),
        (("nonsense",), 2, "nonsense"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(
    wardround: Wardround, made: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    places = {"HOME": made / "north", "NEW": tmp_path / "new", "TABLE": made / "stays.csv", "DICTIONARY": DICTIONARY}
    ended, _, err = wardround(*(places.get(argument, argument) for argument in arguments))
    assert ended == code
    assert said in err
    assert "Traceback" not in err
    assert not (tmp_path / "new").exists()


def test_every_column_that_does_not_fit_is_named_and_no_value(wardround: Wardround, made: Path, tmp_path: Path) -> None:
    table = stays(1, 30).astype({"readmitted": object})
    table.loc[3, "days"], table.loc[4, "readmitted"] = 8675309, "Mr 8675309"
    table.drop(columns="site").assign(income=1).to_csv(tmp_path / "bad.csv", index=False)
    code, _, err = wardround(
        "publish", "--table", tmp_path / "bad.csv", "--dictionary", DICTIONARY, "--home", made / "north"
    )
    assert code == 1
    assert all(name in err for name in ("days", "readmitted", "site", "income"))
    assert "8675309" not in err


def test_a_store_that_is_away_is_told_as_such(
    wardround: Wardround, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = S3("http://127.0.0.1:9")  # nobody listens there
    Datasite.create(tmp_path / "north", "do@north.org", away.url).state.close()
    monkeypatch.setenv("WARDROUND_STORE_OPTIONS", json.dumps(away.options))
    code, _, err = wardround("requests", "--home", tmp_path / "north")
    assert code == 4
    assert "The store could not be" in err
    assert "Traceback" not in err
    assert SECRET not in err


def test_requests_status_and_trust(wardround: Wardround, made: Path) -> None:
    home = made / "north"
    code, out, _ = wardround("requests", "--home", home)
    assert code == 0
    assert "ada@uni.org" in out
    code, out, _ = wardround("status", "--home", home)
    assert code == 0
    assert "not running" in out
    assert "tables: stays; peers: none" in out
    ada = wr.connect(made / "federation.toml", "ada@uni.org", home=made / "ada")
    code, out, _ = wardround("trust", "ADA@uni.org", "--fingerprint", ada.fingerprint.upper(), "--home", home)
    assert (code, out) == (0, "ada@uni.org is accepted as a peer.")
    code, _, err = wardround("trust", "ada@uni.org", "--fingerprint", ada.fingerprint, "--home", home)
    assert code == 1
    assert "is a peer already" in err


@pytest.mark.parametrize(
    ("text", "days"), [("30d", 30.0), ("2999-01-31", None), ("2999-01-31T12:00+02:00", None), (" 1d ", 1.0)]
)
def test_dates_that_people_write(text: str, days: float | None) -> None:
    from datasites.approval.expiry import until

    moment = until(text)
    assert moment.utcoffset() == timedelta(0)
    if days:
        assert abs(moment - now() - timedelta(days=days)) <= timedelta(seconds=60)


def test_a_table_republished_replaces_the_first(wardround: Wardround, made: Path, tmp_path: Path) -> None:
    pd.concat([stays(1, 30)] * 2).to_csv(tmp_path / "stays.csv", index=False)
    table = ("publish", "--table", tmp_path / "stays.csv", "--dictionary", DICTIONARY)
    code, out, _ = wardround(*table, "--home", made / "north")
    assert code == 0
    assert "60 rows fit" in out
