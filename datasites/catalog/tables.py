"""Where a table's rows come from: a CSV or Parquet file, or a query to a database.

Reading never guesses types; `datasites.catalog.validate` settles them by the dictionary. No error holds a cell or a
password.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import pandas as pd
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import Connection, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from policies.errors import InvalidInput, Unavailable

_READERS = {".csv": "csv", ".csv.gz": "csv", ".parquet": "parquet"}
_SECRET = re.compile(r"\$\{(\w+)\}")


class TableSource(BaseModel):
    """A file (`path`: .csv, .csv.gz or .parquet) or a database (`sql_url`, an SQLAlchemy URL, and a SELECT `query`).

    Write the password in `sql_url` as `${NAME}`: it is taken from that environment variable at each reading, so a
    saved source holds no secret. `sql_url` is left out of the repr.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    path: Path | None = None
    sql_url: str | None = Field(default=None, repr=False)
    query: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = (self.path is not None, self.sql_url is not None, self.query is not None)
        if given not in ((True, False, False), (False, True, True)):
            raise InvalidInput("A table comes from one place.", "Give either path, or sql_url and query.")
        if self.path is not None:
            _kind(self.path)
        if self.query is not None and not re.match(r"\s*(select|with)\b", self.query, re.IGNORECASE):
            raise InvalidInput("The query does not read.", "Write one that begins with SELECT or WITH.")
        return self

    def read(self) -> pd.DataFrame:
        """All rows. CSV columns are text, and only the empty field is missing; others keep their source's types.

        Raises InvalidInput if the source is malformed, Unavailable if its database cannot be reached.
        """
        if self.path is None:
            return _read_sql(self.sql_url or "", self.query or "")
        if not self.path.is_file():
            raise InvalidInput(f"There is no file {self.path}.", "Give the path of the table.")
        return _read_csv(self.path) if _kind(self.path) == "csv" else _read_parquet(self.path)


def _kind(path: Path) -> str:
    for suffix, kind in _READERS.items():
        if path.name.lower().endswith(suffix):
            return kind
    raise InvalidInput(f"{path} is not a table this program reads.", f"Give one of {', '.join(_READERS)}.")


def _read_csv(path: Path) -> pd.DataFrame:
    options: dict[str, Any] = {"dtype": str, "keep_default_na": False, "na_values": [""], "encoding": "utf-8-sig"}
    try:
        header = pd.read_csv(path, header=None, nrows=1, **options)
        # pandas would rename the second of two equal names instead of refusing it
        _refuse_repeated(header.iloc[0].dropna())
        frame: pd.DataFrame = pd.read_csv(path, low_memory=False, **options)
    except pd.errors.EmptyDataError:
        raise InvalidInput(f"{path} is empty.", "Give a file with a header row and rows.") from None
    except pd.errors.ParserError as error:
        raise InvalidInput(f"{path} is not a regular CSV file{_place(error)}.", "Correct that line.") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from None
    if not isinstance(frame.index, pd.RangeIndex):
        # pandas takes surplus fields for row labels, which shifts every value one column to the left
        raise InvalidInput(f"{path} has more fields in its rows than in its header.", "Correct the header.")
    return frame


def _place(error: Exception) -> str:
    """Where a parser gave up; its own words might quote the file."""
    found = re.search(r"\b(?:line|row) (\d+)", str(error))
    return f" (near line {found[1]})" if found else ""


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = pq.ParquetFile(path).read()
    except (OSError, ValueError) as error:  # Arrow's own errors are both
        raise _unreadable(path, error) from None
    _refuse_repeated(table.column_names)
    # pandas' metadata could hide the patient key in an index
    return pd.DataFrame(table.to_pandas(ignore_metadata=True))


def _unreadable(path: Path, error: Exception) -> InvalidInput:
    reason = "it is damaged"
    if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile) and error.strerror:
        reason = error.strerror
    return InvalidInput(f"Cannot read {path}: {reason}.", "Check the file and its permissions.")


def _refuse_repeated(names: Iterable[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InvalidInput(f"{len(repeated)} column names occur more than once.", "Give every column its own name.")


def _read_sql(sql_url: str, query: str) -> pd.DataFrame:
    engine = create_engine(_database(sql_url), poolclass=NullPool, hide_parameters=True)
    try:
        connection = engine.connect()
    except Exception as error:  # a driver may raise anything here, and its text may hold the URL
        raise Unavailable(
            f"Cannot connect to the {engine.dialect.name} database ({type(error).__name__}).",
            "Check its address, user and password, and that it is running.",
        ) from None
    with connection:
        return _query(connection, query)


def _database(sql_url: str) -> URL:
    try:
        url = make_url(_SECRET.sub(_environment, sql_url))
        url.get_dialect().import_dbapi()
    except (SQLAlchemyError, ValueError):
        raise InvalidInput(
            "sql_url is not a database URL.", "Write dialect+driver://user:${NAME}@host/database."
        ) from None
    except ImportError:
        raise InvalidInput(
            "The driver that sql_url names is not installed.", "Install it, or name another: dialect+driver://..."
        ) from None
    is_plain_sqlite = url.get_backend_name() == "sqlite" and "uri" not in url.query
    if is_plain_sqlite and url.database and url.database != ":memory:" and not Path(url.database).is_file():
        # SQLite would create it
        raise InvalidInput("sql_url names an SQLite file that does not exist.", "Correct its path.")
    return url


def _environment(match: re.Match[str]) -> str:
    value = os.environ.get(match[1])
    if value is None:
        raise InvalidInput(f"sql_url needs the environment variable {match[1]}, which is not set.", "Set it.")
    return value


def _query(connection: Connection, query: str) -> pd.DataFrame:
    """The query's rows. Never committed, and read-only where the database can be: against slips, not against malice."""
    try:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA query_only = ON")
        connection = connection.execution_options(postgresql_readonly=True, no_parameters=True)  # a % stays a %
        result = connection.exec_driver_sql(query)
        names = list(result.keys())
        _refuse_repeated(names)
        return pd.DataFrame([tuple(row) for row in result], columns=names)
    except SQLAlchemyError as error:
        # its text quotes the statement, and often a row
        raise InvalidInput(
            f"The database refused the query ({type(error).__name__}).", "Try the query in the database's own client."
        ) from None
