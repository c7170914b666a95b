from __future__ import annotations

import gzip
import sqlite3
import traceback
from pathlib import Path

import pandas as pd
import pytest

from datasites.catalog.tables import TableSource
from datasites.catalog.validate import conform
from datasites.wire.dictionary import Dictionary
from policies.errors import InvalidInput, Unavailable, WardroundError

CSV = 'patient_id,age,visits,days,ward,readmitted\n007,65,2,1,None,1\n007,66,,30,NA,0\n4,0.5,0,7,"",0\n'


@pytest.fixture
def database(tmp_path: Path) -> str:
    with sqlite3.connect(tmp_path / "ward.db") as connection:
        connection.execute("CREATE TABLE stays (patient_id TEXT, age REAL, visits INT, days INT, ward, readmitted)")
        connection.execute("INSERT INTO stays VALUES ('007', 65, 2, 1, 'None', 1), ('4', 0.5, NULL, 7, NULL, 0)")
    connection.close()
    return f"sqlite:///{tmp_path}/ward.db"


def written(path: Path, text: str | bytes) -> TableSource:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return TableSource(path=path)


def test_only_the_empty_field_of_a_csv_is_missing(tmp_path: Path, stays: Dictionary) -> None:
    table = conform(written(tmp_path / "t.csv", CSV).read(), stays)
    assert table["ward"].tolist()[:2] == ["None", "NA"]
    assert table["ward"].isna().sum() == 1
    assert table["patient_id"].tolist() == ["007", "007", "4"]


def test_every_kind_of_source_gives_the_same_table(tmp_path: Path, stays: Dictionary) -> None:
    plain = conform(written(tmp_path / "t.csv", "\ufeff" + CSV).read(), stays)
    zipped = written(tmp_path / "t.csv.gz", gzip.compress(CSV.encode()))
    plain.set_index("patient_id").to_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(conform(zipped.read(), stays), plain)
    pd.testing.assert_frame_equal(conform(TableSource(path=tmp_path / "t.parquet").read(), stays), plain)


def test_a_query_is_read_with_the_password_from_the_environment(
    database: str, stays: Dictionary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARD_DB", database.removeprefix("sqlite:///"))
    source = TableSource(sql_url="sqlite:///${WARD_DB}", query="SELECT * FROM stays")
    assert conform(source.read(), stays)["patient_id"].tolist() == ["007", "4"]
    assert database not in source.model_dump_json()
    monkeypatch.delenv("WARD_DB")
    with pytest.raises(InvalidInput, match="WARD_DB"):
        source.read()


@pytest.mark.parametrize(
    "query", ["DELETE FROM stays", "SELECT 1; DELETE FROM stays", "WITH x AS (SELECT 1) DELETE FROM stays"]
)
def test_a_query_cannot_write(database: str, query: str) -> None:
    with pytest.raises(InvalidInput):
        TableSource(sql_url=database, query=query).read()
    assert len(TableSource(sql_url=database, query="SELECT * FROM stays").read()) == 2


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("postgresql+nodriver://ann:hunter2@nowhere/x", InvalidInput),
        ("hunter2", InvalidInput),
        ("sqlite:///hunter2/none.db", InvalidInput),
        ("sqlite:///file:hunter2/none.db?mode=ro&uri=true", Unavailable),
    ],
)
def test_a_failing_connection_tells_no_password(url: str, error: type[WardroundError]) -> None:
    with pytest.raises(error) as refusal:
        TableSource(sql_url=url, query="SELECT 1").read()
    assert "hunter2" not in "".join(traceback.format_exception(refusal.value))
    assert "hunter2" not in repr(TableSource(sql_url=url, query="SELECT 1"))


def test_a_percent_sign_in_a_query_is_just_that(database: str) -> None:
    source = TableSource(sql_url=database, query="select * from stays where ward like 'N%'")
    assert source.read()["patient_id"].tolist() == ["007"]


def test_a_refused_query_tells_neither_statement_nor_rows(database: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        TableSource(sql_url=database, query="SELECT secret_column FROM stays WHERE age = 65").read()
    assert "secret_column" not in str(refusal.value)
    assert refusal.value.__suppress_context__  # the driver's own error quotes the statement
    with pytest.raises(InvalidInput, match="OperationalError") as refusal:
        TableSource(sql_url=database, query="SELECT CAST(x'4a6f6e6573ff' AS TEXT) AS name").read()
    assert "Jones" not in str(refusal.value)  # SQLite's own words quote the cell it cannot decode
    with pytest.raises(InvalidInput, match="more than once"):
        TableSource(sql_url=database, query="SELECT age, age FROM stays").read()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("t.csv", "", "is empty"),
        ("t.csv", "a,b\n1,2\nJones,2,3\n", "near line 3"),
        ("t.csv", "a,b\nJones,2,3\n", "more fields"),
        ("t.csv", 'a,b\n1,"Jones\n', "not a regular CSV"),
        ("t.csv", "a,a\n1,2\n", "more than once"),
        ("t.csv", "a\nJ\xf6nes\n".encode("latin-1"), "UTF-8"),
        ("t.csv.gz", b"Jones", "damaged"),
        ("t.csv.gz", gzip.compress(b"a,b\n" * 99, mtime=0)[:-12], "damaged"),
        ("t.parquet", b"Jones", "damaged"),
        ("t.xlsx", b"Jones", "not a table this program reads"),
    ],
)
def test_a_malformed_file_is_refused_without_quoting_it(
    tmp_path: Path, name: str, content: str | bytes, reason: str
) -> None:
    with pytest.raises(InvalidInput, match=reason) as refusal:
        written(tmp_path / name, content).read()
    assert "Jones" not in "".join(traceback.format_exception(refusal.value))


def test_a_source_is_one_place(tmp_path: Path) -> None:
    for fields in ({}, {"path": tmp_path / "t.csv", "query": "SELECT 1"}, {"sql_url": "sqlite://"}):
        with pytest.raises(InvalidInput, match="one place"):
            TableSource.model_validate(fields)
    with pytest.raises(InvalidInput, match="no file"):
        TableSource(path=tmp_path / "none.csv").read()
