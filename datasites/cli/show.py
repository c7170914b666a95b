"""What the commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table

from datasites.approval.submissions import Submission
from datasites.state import State, now
from datasites.wire import quarantine
from datasites.wire.decision import Decision
from datasites.wire.dictionary import Dictionary
from datasites.wire.identity import Identity
from datasites.wire.peers import PinnedPeers

_ALIVE_SECONDS = 30


def _console() -> Console:
    return Console(highlight=False)


def created(home: Path, identity: Identity) -> None:
    console = _console()
    console.print(f"Datasite [bold]{identity.email}[/] created in {escape(str(home))}.")
    console.print(f"Its fingerprint is [bold]{identity.public.fingerprint}[/]; give it to researchers.")
    console.print("Next: wardround datasite publish --table TABLE --dictionary DICTIONARY, then serve.")


def published(dictionary: Dictionary, rows: int, twin_rows: int) -> None:
    console = _console()
    console.print(
        f"{rows:,} rows fit the dictionary of [bold]{escape(dictionary.table.name)}[/]. They stay where they are."
    )
    console.print(
        f"Published: the dictionary ({len(dictionary.columns)} columns) and a mock twin of {twin_rows:,} rows."
    )


def decided(decision: Decision) -> None:
    until = f", until {decision.expires_at:%Y-%m-%d %H:%M} UTC" if decision.expires_at else ""
    limits = f" for {decision.rounds} rounds{until}" if decision.verdict == "approved" else ""
    _console().print(f"Study {decision.study[:12]} is [bold]{decision.verdict}[/]{limits}. The decision is signed.")


def requests(waiting: list[tuple[str, str]], office: Any, *, as_json: bool) -> None:
    studies = office.submissions()
    if as_json:
        content = {
            "peers": [{"email": email, "fingerprint": fingerprint} for email, fingerprint in waiting],
            "studies": [_study_row(s, office.state) for s in studies],
        }
        typer.echo(json.dumps(content, indent=1))
        return
    console = _console()
    if waiting:
        table = Table("researcher", "fingerprint (compare by telephone)", title="Wants to connect")
        for email, fingerprint in waiting:
            table.add_row(escape(email), fingerprint or "no keys yet")
        console.print(table)
        console.print("Accept one with: wardround datasite trust ADDRESS\n")
    if studies:
        table = Table("study", "researcher", "purpose", "rounds", "decision", title="Studies")
        for study in studies:
            row = _study_row(study, office.state)
            shown = (str(row[key]) for key in ("name", "researcher", "purpose", "rounds", "decision"))
            table.add_row(*(escape(value) for value in shown))
        console.print(table)
        console.print("Look at one with: wardround datasite show STUDY")
    if not waiting and not studies:
        console.print("No requests. Is the agent running? See: wardround datasite status")


def _study_row(study: Submission, state: State) -> dict[str, Any]:
    signed = state.decision(study.digest)
    manifest = study.manifest
    return {
        "name": manifest.job_name,
        "digest": study.digest,
        "researcher": manifest.researcher,
        "purpose": manifest.purpose,
        "dataset": manifest.dataset,
        "rounds": manifest.rounds,
        "decision": signed.decision.verdict if signed else "waiting",
    }


def packet(office: Any, name: str, *, as_json: bool) -> None:
    study: Submission = office.find(name)
    manifest, problems = study.manifest, office.problems(study.manifest)
    if as_json:
        files = {path: data.decode() for path, data in study.files.items()}
        content = {
            **_study_row(study, office.state),
            "manifest": manifest.model_dump(mode="json"),
            "problems": problems,
        }
        typer.echo(json.dumps({**content, "files": files}, indent=1))
        return
    console = _console()
    console.print(Panel(escape(_summary(study)), title=escape(manifest.job_name), width=100))
    table = Table("what", "asked for", width=100)
    for what, value in _facts(study).items():
        table.add_row(what, escape(value))
    console.print(table)
    for path, data in sorted(study.files.items()):
        console.print(Panel(Syntax(data.decode(), "python", line_numbers=True), title=escape(path), width=110))
    for problem in problems:
        console.print(f"[bold red]It cannot run here:[/] {escape(problem)}")
    console.print(f"Study digest (compare with other hospitals): [bold]{study.digest}[/]")
    console.print(f"Decide: wardround datasite approve|deny {escape(manifest.job_name)}")


def _summary(study: Submission) -> str:
    manifest = study.manifest
    return (
        f"{manifest.researcher} asks to train a model on {len(manifest.columns)} columns of the table "
        f"{manifest.dataset!r}, for: {manifest.purpose}. The code below would run on this hospital's own machine up to "
        f"{manifest.rounds} times. Each time, at most {manifest.outputs.max_bytes:,} bytes of numbers would leave: the "
        f"trained model and the metrics listed. There is no differential-privacy guarantee: a model can remember "
        f"patients, so approve only code that you or a reviewer has read."
    )


def _facts(study: Submission) -> dict[str, str]:
    manifest = study.manifest
    outputs = manifest.outputs
    arrays = sum(len(group) for group in (outputs.parameters, outputs.evaluate_arrays))
    return {
        "columns": ", ".join(manifest.columns),
        "rounds": str(manifest.rounds),
        "time per round": f"at most {manifest.seconds_per_round:,} s",
        "leaves per round": f"{arrays} arrays, at most {outputs.max_bytes:,} bytes",
        "metrics": ", ".join((*outputs.fit_metrics, *outputs.evaluate_metrics, *outputs.evaluate_arrays)),
        "configuration": json.dumps(manifest.config, sort_keys=True),
        "files": ", ".join(f"{path} ({spec.size:,} bytes)" for path, spec in manifest.files.items()),
    }


def status(site: Any, *, as_json: bool) -> None:
    content = _status(site)
    if as_json:
        typer.echo(json.dumps(content, indent=1))
        return
    console = _console()
    agent = "[green]serving[/]" if content["agent"] else "[red]not running[/] (start it: wardround datasite serve)"
    console.print(f"[bold]{escape(content['name'] or content['email'])}[/] ({content['email']}), agent {agent}")
    console.print(f"fingerprint {content['fingerprint']}")
    console.print(f"tables: {', '.join(content['tables']) or 'none'}; peers: {', '.join(content['peers']) or 'none'}")
    if content["studies"]:
        table = Table("study", "decision", "rounds used", "last outcome", "expires")
        for row in content["studies"]:
            used = f"{row['rounds_used']} of {row['rounds']}"
            table.add_row(row["digest"][:12], row["decision"], used, row["last_outcome"], row["expires"])
        console.print(table)
    for note in content["refused_messages"][-5:]:
        console.print(
            f"[yellow]refused message[/] from {escape(note['from'])} at {note['at']}: it {escape(note['why'])}"
        )


def _status(site: Any) -> dict[str, Any]:
    from datasites.catalog.registry import Registry

    return {
        "email": site.settings.email,
        "name": site.settings.name,
        "fingerprint": site.identity.public.fingerprint,
        "agent": _alive(site.home.heartbeat),
        "tables": Registry(site.home.datasets).names(),
        "peers": PinnedPeers(site.home.peers).accepted(),
        "studies": [_progress(signed.decision, site.state) for signed in site.state.current_decisions()],
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
        at = datetime.fromisoformat(json.loads(heartbeat.read_bytes())["at"])
    except (OSError, ValueError, KeyError):
        return False
    return (now() - at).total_seconds() < _ALIVE_SECONDS
