"""`wardround policy`: what a data owner allows, written down before anybody asks."""

from __future__ import annotations

import json as json_format
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from datasites.cli.exits import Exit
from datasites.cli.options import DEFAULT_HOME, HomeOption, JsonOption, opened
from policies.errors import InvalidInput
from policies.examples import NAMES, example, example_text

if TYPE_CHECKING:
    from policies.policy import Policy
    from policies.rules import Violation

app = typer.Typer(help="What may be done with a table: check a policy, read it aloud, set it.", no_args_is_help=True)
PolicyArgument = Annotated[str, typer.Argument(help=f"A policy's TOML file, or a ready one: {', '.join(NAMES)}.")]


@app.command()
def check(
    policy: PolicyArgument,
    submitted: Annotated[str, typer.Argument(metavar="[STUDY]", help="A study that was submitted to --home.")] = "",
    study: Annotated[
        Path | None, typer.Option(help="A folder of study code; only the code is checked.", file_okay=False)
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Check that a policy can be used and, given a study, whether it allows that. Exits with 3 when it does not."""
    if submitted and study:
        raise InvalidInput("Two studies are given.", "Give the name of a submitted study, or --study and a folder.")
    rules = _load(policy)
    if submitted:
        _told(rules, f"the study {submitted!r}", _submitted(rules, submitted, home), as_json=json)
    else:
        from datasites.approval.policy import texts

        found = rules.check_code(texts(_files(study))) if study else []
        _told(rules, "the code" if study else "", found, as_json=json)


@app.command()
def explain(policy: PolicyArgument, json: JsonOption = False) -> None:
    """Read a policy aloud, in plain sentences."""
    from policies.explain import explain as sentences_of

    rules = _load(policy)
    told = sentences_of(rules)
    if json:
        typer.echo(json_format.dumps({"title": rules.title, "digest": rules.digest, **told}, indent=1))
        return
    console = Console(highlight=False)
    console.print(f"[bold]{escape(rules.title)}[/] (digest {rules.digest[:12]})")
    for heading, sentences in told.items():
        console.print(f"\n[bold]{heading}[/]")
        for sentence in sentences:
            console.print(Padding(escape(sentence), (0, 0, 0, 2)))


@app.command()
def examples(
    name: Annotated[str, typer.Argument(help="Print this one.")] = "",
    write: Annotated[Path | None, typer.Option(help="Copy it to this new file, to edit.", dir_okay=False)] = None,
) -> None:
    """List the ready policies, print one, or copy one."""
    if write:
        _copy(name, write)
    elif name:
        typer.echo(example_text(name), nl=False)
    else:
        for each in NAMES:
            typer.echo(f"{each:10} {example(each).title}. Read it aloud: wardround policy explain {each}")


@app.command(name="set")
def set_policy(
    dataset: Annotated[str, typer.Argument(help="The table's name.")],
    policy: PolicyArgument,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Apply a policy to a table from now on, also to studies that are running. Without one, `standard` applies."""
    with opened(home) as site:
        rules = site.set_policy(dataset, policy)
    typer.echo(f"The policy {rules.title!r} (digest {rules.digest[:12]}) applies to the table {dataset}.")


def _load(policy: str) -> Policy:
    from datasites.approval.policy import policy_text
    from policies.policy import Policy

    return Policy.from_toml(policy_text(policy))


def _submitted(rules: Policy, study: str, home: Path) -> list[Violation]:
    with opened(home) as site:
        submission = site.office.find(study)
        return rules.check(site.office.enforcement.ruling(submission.manifest, submission.files).request)


def _files(folder: Path) -> dict[str, bytes]:
    from datasites.wire.manifest import ENTRY

    if not (folder / ENTRY).is_file():
        raise InvalidInput(f"There is no {ENTRY} in {folder}.", "Give the folder of a study's code.")
    found = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    hidden = ("__pycache__", ".")
    return {
        name.as_posix(): path.read_bytes()
        for name, path in found.items()
        if not any(part.startswith(hidden) for part in name.parts)
    }


def _copy(name: str, target: Path) -> None:
    text = example_text(name or "standard")
    if target.exists():
        raise InvalidInput(f"{target} exists already.", "Name a new file.")
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"Cannot write {target}: {error.strerror}.", "Name another file.") from None
    typer.echo(f"Written to {target}. Edit it, then: wardround policy check {target}")


def _told(rules: Policy, what: str, found: list[Violation], *, as_json: bool) -> None:
    if as_json:
        content = {"policy": rules.title, "digest": rules.digest, "checked": what, "allowed": not found}
        typer.echo(json_format.dumps({**content, "violations": [asdict(one) for one in found]}, indent=1))
    else:
        _show(rules, what, found)
    if found:
        raise typer.Exit(Exit.REFUSED)


def _show(rules: Policy, what: str, found: list[Violation]) -> None:
    console = Console(highlight=False)
    title = escape(rules.title)
    if not what:
        console.print(f"The policy [bold]{title}[/] can be used. Read it aloud with: wardround policy explain")
    elif not found:
        console.print(f"The policy [bold]{title}[/] allows {escape(what)}.")
    else:
        table = Table("rule", "why not", "what to change", title=f"The policy {title} does not allow {escape(what)}")
        for one in found:
            table.add_row(one.rule, escape(one.reason), escape(one.change))
        console.print(table)
