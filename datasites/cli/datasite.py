"""`wardround datasite`: a hospital's side."""

from __future__ import annotations

import logging
import re
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from datasites.cli import show
from datasites.cli.context import (
    DEFAULT_HOME,
    HomeOption,
    JsonOption,
    ReasonOption,
    StudyArgument,
    opened,
    person,
)
from datasites.home import DatasiteHome
from datasites.settings import DatasiteSettings, write_settings
from datasites.state import now
from datasites.wire.identity import Identity, check_email, same_fingerprint
from policies.errors import InvalidInput, Refused

app = typer.Typer(help="A hospital's side: publish a table, look at requests, decide, serve.", no_args_is_help=True)


@app.command()
def init(
    email: Annotated[str, typer.Option(help="The datasite's address; researchers know the hospital by it.")],
    store: Annotated[str, typer.Option(help="Where all participants meet: file:///path, s3://bucket, gs://, az://.")],
    name: Annotated[str, typer.Option(help="The hospital's name, as researchers see it.")] = "",
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Create a datasite: its private folder, its keys and its settings file."""
    from datasites.wire.store import Store

    place = DatasiteHome(home.expanduser().resolve())
    address = check_email(email)
    if (place.path / "datasite.toml").exists():
        raise Refused(f"There is a datasite in {place.path} already.", "Choose another --home, or move it away.")
    Store(store)  # a wrong address is told now, not at the first sync
    place.create()
    identity = Identity.create(address, place.keys)
    write_settings(place.path, address, name, store)
    show.created(place.path, identity)


@app.command()
def publish(
    dictionary: Annotated[Path, typer.Option(help="The data dictionary (TOML).", dir_okay=False)],
    table: Annotated[Path | None, typer.Option(help="The table: .csv, .csv.gz or .parquet.", dir_okay=False)] = None,
    sql_url: Annotated[
        str | None, typer.Option(help="Or a database (SQLAlchemy URL; ${NAME} is taken from the environment).")
    ] = None,
    query: Annotated[str | None, typer.Option(help="The SELECT that gives the table.")] = None,
    ignore_other_columns: Annotated[bool, typer.Option(help="Leave out columns the dictionary does not list.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the mock twin.")] = 0,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Check a table against its data dictionary, and show the dictionary and a mock twin to approved researchers.

    The table stays where it is. The mock twin is invented from the dictionary alone.
    """
    from datasites.catalog.publish import TWIN_ROWS, publish_twin
    from datasites.catalog.registry import RegisteredTable, Registry
    from datasites.catalog.tables import TableSource
    from datasites.wire.dictionary import Dictionary

    with opened(home) as site:
        source = TableSource(path=table.expanduser().resolve() if table else None, sql_url=sql_url, query=query)
        described = Dictionary.load(dictionary)
        rows = Registry(site.home.datasets).add(RegisteredTable(source, described, ignore_other_columns))
        publish_twin(site.login(), site.identity, site.settings.name, described, seed)
        show.published(described, rows, TWIN_ROWS)


@app.command()
def serve(home: HomeOption = DEFAULT_HOME, verbose: Annotated[bool, typer.Option("--verbose", "-v")] = False) -> None:
    """Run the agent: it receives requests, and runs approved studies. Stop it with Ctrl-C."""
    from datasites.agent import Agent

    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    for noisy in ("urllib3", "matplotlib", "googleapiclient"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    place = DatasiteHome(home.expanduser().resolve())
    agent = Agent(place, DatasiteSettings.load(place.path))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: agent.stopping.set())
    agent.serve()


@app.command()
def requests(home: HomeOption = DEFAULT_HOME, json: JsonOption = False) -> None:
    """List who wants to connect, and the studies that were submitted."""
    from datasites.wire.connection.directory import published_document
    from datasites.wire.identity import PublicIdentity
    from datasites.wire.login import connection_of

    with opened(home) as site:
        connection = connection_of(site.login())
        waiting = []
        for email in connection.get_peer_requests():
            document = published_document(connection, email)
            waiting.append((email, PublicIdentity.parse(email, document).fingerprint if document else ""))
        show.requests(waiting, site.office(), as_json=json)


@app.command()
def trust(
    email: Annotated[str, typer.Argument(help="The researcher's address.")],
    fingerprint: Annotated[
        str, typer.Option(help="What the researcher read to you; without it you are asked to compare.")
    ] = "",
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Accept a researcher as a peer: they will see the mock twins and may submit studies. Nothing runs by this.

    Compare the fingerprint over the telephone or on paper, never by a message through the same store.
    """
    from datasites.wire.connection.directory import published_document
    from datasites.wire.identity import PublicIdentity
    from datasites.wire.login import connection_of, quiet

    with opened(home) as site:
        address = check_email(email)
        client = site.login()
        connection = connection_of(client)
        if address not in connection.get_peer_requests():
            raise InvalidInput(f"{address} has not asked to connect.", "See: wardround datasite requests")
        document = published_document(connection, address)
        if document is None:
            raise InvalidInput(f"{address} has not published any keys yet.", "Ask them to connect again.")
        public = PublicIdentity.parse(address, document)
        if fingerprint and not same_fingerprint(fingerprint, public.fingerprint):
            raise Refused(
                f"The fingerprint does not match: {address} shows {public.fingerprint}.",
                "Do not accept. Telephone the researcher: someone may be impersonating them.",
            )
        if not fingerprint:
            typer.echo(f"{address} shows the fingerprint {public.fingerprint}")
            typer.confirm("Did the researcher read the same one to you?", abort=True)
        connection.peers.expected[address] = public.fingerprint
        for one in (client.peer_manager.connection_router, client.sync_engine._connection_router):
            one.connections[0].peers.expected[address] = public.fingerprint
        with quiet():
            client.sync()
            client.approve_peer_request(address, verbose=False)
            client.sync()
        typer.echo(f"{address} is accepted as a peer.")


@app.command(name="show")
def show_study(study: StudyArgument, home: HomeOption = DEFAULT_HOME, json: JsonOption = False) -> None:
    """Show what a study asks for, and the code that would run."""
    with opened(home) as site:
        show.packet(site.office(), study, as_json=json)


@app.command()
def approve(
    study: StudyArgument,
    rounds: Annotated[int | None, typer.Option(help="Allow at most so many rounds of training.")] = None,
    expires: Annotated[str, typer.Option(help="When the approval ends: 2027-01-31, or 30d.")] = "",
    reason: ReasonOption = "",
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Approve exactly the bytes of a study as they are now. What is changed afterwards does not run."""
    with opened(home) as site:
        until = _until(expires or f"{site.settings.approval_days}d")
        signed = site.office().approve(study, rounds=rounds, expires_at=until, by=person(), reason=reason)
        show.decided(signed.decision)


@app.command()
def deny(study: StudyArgument, reason: ReasonOption, home: HomeOption = DEFAULT_HOME) -> None:
    """Deny a study, and tell the researcher why."""
    with opened(home) as site:
        show.decided(site.office().deny(study, reason=reason, by=person()).decision)


@app.command()
def revoke(study: StudyArgument, reason: ReasonOption, home: HomeOption = DEFAULT_HOME) -> None:
    """Take back an approval. A round that is running is stopped; no further one starts."""
    with opened(home) as site:
        show.decided(site.office().revoke(study, reason=reason, by=person()).decision)


@app.command()
def status(home: HomeOption = DEFAULT_HOME, json: JsonOption = False) -> None:
    """Show the datasite: whether its agent runs, its tables, peers, studies and refused messages."""
    with opened(home) as site:
        show.status(site, as_json=json)


def _until(text: str) -> datetime:
    days = re.fullmatch(r"(\d{1,4})d", text.strip())
    if days:
        return now() + timedelta(days=int(days[1]))
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidInput(f"{text!r} is not a date.", "Write 2027-01-31, or 30d for thirty days.") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
