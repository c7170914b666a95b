"""`wardround audit`: what happened at a datasite, and proof of it for others."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from datasites.cli.exits import Exit
from datasites.cli.options import DEFAULT_HOME, HomeOption, JsonOption, opened
from policies.errors import InvalidInput

if TYPE_CHECKING:
    from datasites.audit.verify import Report
    from datasites.datasite import Datasite

app = typer.Typer(help="The log of everything that happened at a datasite, and proof of it.", no_args_is_help=True)
FingerprintOption = Annotated[str, typer.Option(help="Of the hospital's keys, as it told you by another way.")]
WitnessOption = Annotated[
    list[Path] | None,
    typer.Option("--with", help="Another hospital's export, or a researcher's heads/ADDRESS.json. Repeatable."),
]
_SHOWN = 50
_OWN_COLUMNS = ("number", "at", "kind", "study", "salt")


@app.command()
def show(
    study: Annotated[str, typer.Option(help="Only this study: its name, or 8 or more characters of its digest.")] = "",
    last: Annotated[
        int | None, typer.Option(min=1, help=f"So many of the newest entries [default: {_SHOWN}; all with --json].")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Show what was recorded, oldest first."""
    with opened(home) as site:
        digest = _study(site, study) if study else None
        entries = site.state.audit.entries(digest, last or (None if json else _SHOWN))
    if json:
        typer.echo(json_format.dumps(entries, indent=1))
    else:
        _show(entries)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="The file to write.", dir_okay=False)], home: HomeOption = DEFAULT_HOME
) -> None:
    """Write the whole log, with its signed heads and public keys, to a file that anybody can verify offline."""
    from datasites.audit.export import export as write_export

    with opened(home) as site:
        size = write_export(site.identity, site.state.audit, file)
    Console(highlight=False).print(
        f"{size:,} entries written to {escape(str(file))}. It names studies, people and times."
    )


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="An export.", dir_okay=False)],
    fingerprint: FingerprintOption = "",
    witness: WitnessOption = None,
    json: JsonOption = False,
) -> None:
    """Verify an export, without any datasite and without a network. Exits with 1 when anything in it is wrong."""
    from datasites.audit.verify import verify as verify_export

    _told(verify_export(file, witness or (), fingerprint), json)


def _told(report: Report, json: bool) -> None:
    if json:
        findings = [{"what": f.what, "found": f.found, "good": f.good} for f in report.findings]
        content = {"hospital": report.hospital, "entries": report.size, "good": report.good, "findings": findings}
        typer.echo(json_format.dumps(content, indent=1))
    else:
        _report(report)
    if not report.good:
        raise typer.Exit(Exit.UNUSABLE)


@app.command(name="verify-report")
def verify_report(
    folder: Annotated[Path, typer.Argument(help="A study's report, as `wardround report` wrote it.", file_okay=False)],
    fingerprint: FingerprintOption = "",
    researcher: Annotated[str, typer.Option(help="Of the researcher's keys, as they told you by another way.")] = "",
    witness: WitnessOption = None,
    json: JsonOption = False,
) -> None:
    """Verify a study's report: its log, decisions and manifest. Exits with 1 when anything in it is wrong."""
    from datasites.report.verify import verify_folder

    _told(verify_folder(folder, witness or (), fingerprint, researcher), json)


def _study(site: Datasite, study: str) -> str:
    """The digest of a study in the log, which may no longer be among the submissions."""
    from datasites.audit.checked import studies_named

    found = studies_named(site.state.audit.entries(), study)
    if len(found) != 1:
        raise InvalidInput(f"{study!r} does not stand for one study in the log.", "Give more of its name or digest.")
    return found[0]


def _show(entries: list[dict[str, Any]]) -> None:
    table = Table("number", "at", "what", "study", "details")
    for entry in entries:
        details = ", ".join(f"{name} {_short(value)}" for name, value in entry.items() if name not in _OWN_COLUMNS)
        cells = (f"{entry['number']:,}", entry["at"], entry["kind"], _short(entry.get("study", "")), details)
        table.add_row(*(escape(cell) for cell in cells))
    Console(highlight=False).print(table)


def _short(value: object) -> str:
    text = str(value)
    return text[:12] if len(text) >= 64 else text  # digests


def _report(report: Report) -> None:
    table = Table("checked", "", "found", title=f"Audit log of {escape(report.hospital)}")
    for finding in report.findings:
        mark = "[green]good[/]" if finding.good else "[bold red]WRONG[/]"
        table.add_row(escape(finding.what), mark, escape(finding.found))
    console = Console(highlight=False)
    console.print(table)
    console.print(
        "[green]Everything fits.[/]" if report.good else "[bold red]This log cannot be trusted as it stands.[/]"
    )
