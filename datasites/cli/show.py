"""What the commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from datasites.approval.packet import Packet
from datasites.approval.packet.visible import visible
from datasites.audit.witness import witnessed
from datasites.catalog.registry import Registry
from datasites.cli.document import draw
from datasites.datasite import Datasite
from datasites.heartbeat import alive, trouble
from datasites.release.held import held_outputs
from datasites.state import State
from datasites.wire import quarantine
from datasites.wire.decision import Decision
from datasites.wire.dictionary import Dictionary
from datasites.wire.files import write_atomically
from datasites.wire.peers import PinnedPeers
from datasites.wire.witness import Verdict
from policies.errors import InvalidInput


def _console() -> Console:
    return Console(highlight=False)


def created(site: Datasite) -> None:
    console = _console()
    console.print(f"Datasite [bold]{site.settings.email}[/] created in {escape(str(site.home.path))}.")
    console.print(f"Its fingerprint is [bold]{site.fingerprint}[/]; give it to researchers.")
    console.print("Next: wardround datasite publish --table TABLE --dictionary DICTIONARY, then serve.")


def published(dictionary: Dictionary, rows: int) -> None:
    console = _console()
    name, columns = escape(dictionary.table.name), len(dictionary.columns)
    console.print(f"{rows:,} rows fit the dictionary of [bold]{name}[/]. They stay where they are.")
    console.print(f"Published: the dictionary ({columns} columns) and a mock twin.")


def decided(decision: Decision) -> None:
    until = f", until {decision.expires_at:%Y-%m-%d %H:%M} UTC" if decision.expires_at else ""
    limits = f" for {decision.rounds} rounds{until}" if decision.verdict == "approved" else ""
    _console().print(f"Study {decision.study[:12]} is [bold]{decision.verdict}[/]{limits}. The decision is signed.")


def requests(peers: pd.DataFrame, studies: pd.DataFrame, *, as_json: bool) -> None:
    if as_json:
        content = {"peers": peers.to_dict("records"), "studies": studies.to_dict("records")}
        typer.echo(json.dumps(content, indent=1))
        return
    console = _console()
    if len(peers):
        table = Table("researcher", "fingerprint (compare by telephone)", title="Wants to connect")
        for researcher, fingerprint in peers.astype(str).itertuples(index=False):
            table.add_row(escape(researcher), fingerprint or "no keys yet")
        console.print(table)
        console.print("Accept one with: wardround datasite trust ADDRESS\n")
    if len(studies):
        columns = ["study", "researcher", "purpose", "rounds", "decision", "policy"]
        table = Table(*columns, title="Studies")
        for values in studies[columns].astype(str).itertuples(index=False):
            table.add_row(*(escape(visible(value)) for value in values))
        console.print(table)
        console.print("Look at one with: wardround datasite show STUDY")
    if not len(peers) and not len(studies):
        console.print("No requests. Is the agent running? See: wardround datasite status")


def packet(shown: Packet, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(shown.to_json(), indent=1))
        return
    console = _console()
    draw(shown.document, console)
    name = escape(shown.manifest.job_name)
    console.print(f"Decide with: wardround datasite approve {name}, or deny {name} --reason ...")


def written(shown: Packet, target: Path) -> None:
    """The packet as a page, for its owner alone: it says what this hospital decided."""
    try:
        write_atomically(target, shown.html().encode())
    except OSError as error:
        raise InvalidInput(f"Cannot write {target}: {error.strerror}.", "Name another file.") from None
    Console(stderr=True, highlight=False).print(f"Written to {escape(str(target))}. Open it in a browser.")


def status(site: Datasite, *, as_json: bool) -> None:
    content = _status(site)
    if as_json:
        typer.echo(json.dumps(content, indent=1))
        return
    console = _console()
    agent = "[green]serving[/]" if content["agent"] else "[red]not running[/] (start it: wardround datasite serve)"
    console.print(f"[bold]{escape(content['name'] or content['email'])}[/] ({content['email']}), agent {agent}")
    if content["trouble"]:
        console.print(f"[yellow]what keeps it from its work:[/] {escape(content['trouble'])}")
    console.print(f"fingerprint {content['fingerprint']}")
    console.print(f"tables: {', '.join(content['tables']) or 'none'}; peers: {', '.join(content['peers']) or 'none'}")
    if content["studies"]:
        table = Table("study", "decision", "rounds used", "last outcome", "expires")
        for row in content["studies"]:
            used = f"{row['rounds_used']} of {row['rounds']}"
            table.add_row(row["digest"][:12], row["decision"], used, row["last_outcome"], row["expires"])
        console.print(table)
    for email, count in content["keys_replaced"].items():
        times = "once" if count == 1 else f"{count} times"
        console.print(f"[yellow]{escape(email)} has replaced its keys {times}[/]; see: wardround audit show")
    for email in content["keys_forked"]:
        console.print(f"[bold red]two successors of the keys of {escape(email)} were signed: telephone them[/]")
    for hospital, verdict in content["audit"]["witnessed"].items():
        if verdict != Verdict.CONSISTENT:
            console.print(f"[bold red]audit log of {escape(hospital)}: {verdict}[/]")
    if held := content["held_outputs"]:
        console.print(f"[yellow]{held} results were held back[/]; see: wardround datasite held")
    for note in content["refused_messages"][-5:]:
        console.print(
            f"[yellow]refused message[/] from {escape(visible(note['from']))} at {note['at']}: it "
            f"{escape(visible(note['why']))}"
        )


def _status(site: Datasite) -> dict[str, Any]:
    peers = PinnedPeers(site.home.peers)
    return {
        "email": site.settings.email,
        "name": site.settings.name,
        "fingerprint": site.fingerprint,
        "agent": alive(site.home.heartbeat),
        "trouble": trouble(site.home.heartbeat),
        "tables": Registry(site.home.datasets).names(),
        "peers": peers.accepted(),
        "keys_replaced": {email: len(peers.chain(email)) for email in peers.accepted() if peers.chain(email)},
        "keys_forked": peers.forked(),
        "studies": [_progress(signed.decision, site.state) for signed in site.state.current_decisions()],
        "audit": {
            "entries": site.state.audit.size,
            "witnessed": {one.hospital.email: one.verdict.value for one in witnessed(site.state.audit)},
        },
        "held_outputs": len(held_outputs(site.home.held)),
        "refused_messages": quarantine.notes(site.home.quarantine),
    }


def _progress(decision: Decision, state: State) -> dict[str, Any]:
    answers = state.answers(decision.study)
    return {
        "digest": decision.study,
        "decision": decision.verdict,
        "rounds": decision.rounds,
        "rounds_used": state.used(decision.study)[0],
        "last_outcome": answers[-1].outcome if answers else "",
        "expires": decision.expires_at.date().isoformat() if decision.expires_at else "",
    }
