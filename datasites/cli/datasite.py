"""`wardround datasite`: a hospital's side."""

from __future__ import annotations

import logging
import signal
from pathlib import Path
from typing import Annotated

import typer

from datasites.cli import backup, keys, machine, outputs, reputation, sweep
from datasites.cli.options import DEFAULT_HOME, HomeOption, JsonOption, ReasonOption, StudyArgument, opened

app = typer.Typer(help="A hospital's side: publish a table, look at requests, decide, serve.", no_args_is_help=True)


@app.command()
def init(
    email: Annotated[str, typer.Option(help="The datasite's address; researchers know the hospital by it.")],
    store: Annotated[str, typer.Option(help="Where all participants meet: file:///path, s3://bucket, gs://, az://.")],
    name: Annotated[str, typer.Option(help="The hospital's name, as researchers see it.")] = "",
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Create a datasite: its private folder, its keys and its settings file."""
    from datasites.cli import show
    from datasites.datasite import Datasite

    show.created(Datasite.create(home, email, store, name))


@app.command()
def publish(
    dictionary: Annotated[Path, typer.Option(help="The data dictionary (TOML).", dir_okay=False)],
    table: Annotated[Path | None, typer.Option(help="The table: .csv, .csv.gz or .parquet.", dir_okay=False)] = None,
    sql_url: Annotated[
        str | None, typer.Option(help="Or a database: its SQLAlchemy URL; ${NAME} is taken from the environment.")
    ] = None,
    query: Annotated[str | None, typer.Option(help="The SELECT that gives the table.")] = None,
    ignore_other_columns: Annotated[bool, typer.Option(help="Leave out columns the dictionary does not list.")] = False,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the mock twin; one of the hospital's own if not given.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Check a table against its data dictionary, and show the dictionary and a mock twin to approved researchers.

    The table stays where it is. The mock twin is invented from the dictionary alone.
    """
    from datasites.cli import show
    from datasites.wire.dictionary import Dictionary

    with opened(home) as site:
        described = Dictionary.load(dictionary)
        rows = site.publish(
            described,
            table,
            sql_url=sql_url,
            query=query,
            ignore_other_columns=ignore_other_columns,
            seed=seed,
        )
        show.published(described, rows)


@app.command()
def serve(
    home: HomeOption = DEFAULT_HOME,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log each step, not only what matters.")] = False,
    metrics: Annotated[
        str, typer.Option(help="Serve numbers for Prometheus at this address of this machine alone: 127.0.0.1:9464.")
    ] = "",
    log_format: Annotated[str, typer.Option(help="Of the log lines: text, or json.")] = "",
) -> None:
    """Run the agent: it receives requests, and runs approved studies. Stop it with Ctrl-C."""
    from datasites.agent import Agent
    from datasites.home import DatasiteHome
    from datasites.monitoring import logs
    from datasites.monitoring.endpoint import parsed
    from datasites.monitoring.monitored import monitored
    from datasites.settings import DatasiteSettings

    place = DatasiteHome(home.expanduser().resolve())
    settings = DatasiteSettings.load(place.path)
    if address := metrics or settings.metrics:
        parsed(address)  # a wrong one is told before anything begins
    logs.configure(logs.named(log_format or settings.log_format), logging.DEBUG if verbose else logging.INFO)
    agent = Agent(place, settings)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: agent.stopping.set())
    with monitored(place, settings, address):
        agent.serve()


@app.command()
def requests(home: HomeOption = DEFAULT_HOME, json: JsonOption = False) -> None:
    """List who wants to connect, and the studies that were submitted."""
    from datasites.cli import show

    with opened(home) as site:
        show.requests(site.peer_requests(), site.studies(), as_json=json)


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
    from datasites.wire.identity import check_email

    with opened(home) as site:
        address = check_email(email)
        if not fingerprint:
            fingerprint = site.researcher_keys(address).fingerprint
            typer.echo(f"{address} shows the fingerprint {fingerprint}")
            typer.confirm("Did the researcher read the same one to you?", abort=True)
        site.trust(address, fingerprint)
        typer.echo(f"{address} is accepted as a peer.")


@app.command(name="show")
def show_study(
    study: StudyArgument,
    html: Annotated[
        Path | None, typer.Option(help="Write it as one HTML page to this file instead.", dir_okay=False)
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Show what a study asks for, what the policy says of it, what changed, and the code that would run."""
    from datasites.cli import show

    with opened(home) as site:
        packet = site.packet(study)
        if html:
            show.written(packet, html)
        if json or not html:
            show.packet(packet, as_json=json)


@app.command()
def approve(
    study: StudyArgument,
    rounds: Annotated[int | None, typer.Option(help="Allow at most so many rounds of training.")] = None,
    expires: Annotated[str, typer.Option(help="When the approval ends: 2027-01-31, or 30d.")] = "",
    reason: ReasonOption = "",
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Approve exactly the bytes of a study as they are now. What is changed afterwards does not run."""
    from datasites.approval.expiry import until
    from datasites.cli import show

    with opened(home) as site:
        show.decided(site.approve(study, rounds=rounds, expires_at=until(expires) if expires else None, reason=reason))


@app.command()
def deny(study: StudyArgument, reason: ReasonOption, home: HomeOption = DEFAULT_HOME) -> None:
    """Deny a study, and tell the researcher why."""
    from datasites.cli import show

    with opened(home) as site:
        show.decided(site.deny(study, reason=reason))


@app.command()
def revoke(study: StudyArgument, reason: ReasonOption, home: HomeOption = DEFAULT_HOME) -> None:
    """Take back an approval. A round that is running is stopped; no further one starts."""
    from datasites.cli import show

    with opened(home) as site:
        show.decided(site.revoke(study, reason=reason))


@app.command()
def status(home: HomeOption = DEFAULT_HOME, json: JsonOption = False) -> None:
    """Show the datasite: whether its agent runs, its tables, peers, studies and refused messages."""
    from datasites.cli import show

    with opened(home) as site:
        show.status(site, as_json=json)


for command in (outputs.held, outputs.log, outputs.release_log, reputation.reputation, reputation.contest, sweep.sweep):
    app.command()(command)
for lifecycle in (
    keys.distrust,
    keys.rotate_keys,
    backup.backup,
    backup.restore,
    backup.confirm_restore,
    machine.systemd,
    machine.uninstall,
):
    app.command()(lifecycle)
