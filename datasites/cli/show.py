"""What the commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import typer
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table

from datasites.approval.packet import Packet
from datasites.audit.witness import witnessed
from datasites.catalog.registry import Registry
from datasites.datasite import Datasite
from datasites.state import State
from datasites.wire import quarantine
from datasites.wire.decision import Decision
from datasites.wire.dictionary import Dictionary
from datasites.wire.peers import PinnedPeers
from datasites.wire.witness import Verdict

_ALIVE_SECONDS = 30
_LATE_SECONDS = 5
_FULL = "It cannot write to its home: the disk is full, or fails."


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
        columns = ["study", "researcher", "purpose", "rounds", "decision"]
        table = Table(*columns, title="Studies")
        for values in studies[columns].astype(str).itertuples(index=False):
            table.add_row(*(escape(value) for value in values))
        console.print(table)
        console.print("Look at one with: wardround datasite show STUDY")
    if not len(peers) and not len(studies):
        console.print("No requests. Is the agent running? See: wardround datasite status")


def packet(shown: Packet, *, as_json: bool) -> None:
    if as_json:
        content = {"summary": shown.summary, "facts": shown.facts, "problems": shown.problems, "files": shown.code()}
        typer.echo(json.dumps({**content, "manifest": shown.manifest.model_dump(mode="json")}, indent=1))
        return
    console = _console()
    console.print(Panel(escape(shown.summary), title=escape(shown.manifest.job_name), width=100))
    for path, text in shown.code().items():
        console.print(Panel(Syntax(text, "python", line_numbers=True), title=escape(path), width=110))
    table = Table("what", "asked for", width=100)
    for what, value in shown.facts.items():
        table.add_row(what, escape(value))
    console.print(table)
    for problem in shown.problems:
        console.print(f"[bold red]It cannot run here:[/] {escape(problem)}")
    name = escape(shown.manifest.job_name)
    console.print(f"Decide with: wardround datasite approve {name}, or deny {name} --reason ...")


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
    for hospital, verdict in content["audit"]["witnessed"].items():
        if verdict != Verdict.CONSISTENT:
            console.print(f"[bold red]audit log of {escape(hospital)}: {verdict}[/]")
    for note in content["refused_messages"][-5:]:
        console.print(
            f"[yellow]refused message[/] from {escape(note['from'])} at {note['at']}: it {escape(note['why'])}"
        )


def _status(site: Datasite) -> dict[str, Any]:
    return {
        "email": site.settings.email,
        "name": site.settings.name,
        "fingerprint": site.fingerprint,
        "agent": _alive(site.home.heartbeat),
        "trouble": _trouble(site.home.heartbeat),
        "tables": Registry(site.home.datasets).names(),
        "peers": PinnedPeers(site.home.peers).accepted(),
        "studies": [_progress(signed.decision, site.state) for signed in site.state.current_decisions()],
        "audit": {
            "entries": site.state.audit.size,
            "witnessed": {one.hospital.email: one.verdict.value for one in witnessed(site.state.audit)},
        },
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


def _alive(heartbeat: Path) -> bool:
    try:
        touched = heartbeat.stat().st_mtime  # on a full disk the agent can do no more than touch it
    except OSError:
        return False
    return time.time() - touched < _ALIVE_SECONDS


def _trouble(heartbeat: Path) -> str:
    """What keeps the running agent from its work."""
    if not _alive(heartbeat):
        return ""
    try:
        content, touched = json.loads(heartbeat.read_bytes()), heartbeat.stat().st_mtime
        written = datetime.fromisoformat(content["at"]).timestamp()
    except (OSError, ValueError, KeyError):
        return _FULL
    return _FULL if touched - written > _LATE_SECONDS else str(content.get("problem", ""))
