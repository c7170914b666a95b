"""`wardround datasite systemd` and `uninstall`: the datasite on its machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datasites.cli.options import DEFAULT_HOME, HomeOption, YesOption


def systemd(
    user: Annotated[str, typer.Option(help="Whom the service runs as; you, if not given.")] = "",
    passphrase_file: Annotated[
        Path | None, typer.Option(help="Of the keys; systemd reads it and hands it on.", dir_okay=False)
    ] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Print a hardened systemd unit for the agent."""
    from datasites.service import unit

    typer.echo(unit(home, user, passphrase_file), nl=False)


def uninstall(
    export: Annotated[
        Path | None, typer.Option(help="First write the audit log to this file, for the archive.", dir_okay=False)
    ] = None,
    yes: YesOption = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Remove the datasite: its keys, books, studies and all that it keeps, and its own objects in the store.

    The table stays where it is. Nothing of this can be undone.
    """
    from datasites.cli.options import opened
    from datasites.settings import DatasiteSettings
    from datasites.uninstall import CANNOT, remove
    from policies.errors import InvalidInput

    place = home.expanduser().resolve()
    settings = DatasiteSettings.load(place)
    if export and export.expanduser().resolve().is_relative_to(place):
        raise InvalidInput(f"{export} would be removed with the datasite.", "Choose a place outside of it.")
    if not yes:
        if not export:
            typer.echo("Its audit log is removed, too: give --export FILE to keep it.")
        typed = typer.prompt(f"Type the datasite's address ({settings.email}) to remove it for good")
        if typed.strip().lower() != settings.email:
            raise InvalidInput("That is another address.", "Nothing was removed.")
    if export:
        from datasites.audit.export import export as write_export

        with opened(place) as site:
            size = write_export(site.identity, site.state.audit, export)
            typer.echo(f"{size:,} entries of the audit log are in {export}; its keys: {site.fingerprint}.")
    done = remove(place)
    typer.echo(f"Removed: {done.files:,} files in {place}, {done.objects:,} objects in the store.")
    if done.left is None:
        typer.echo(f"The store could not be reached: ask who runs it to delete what is named {settings.email}.")
    for name in done.left or ():
        typer.echo(f"Not deleted, as the store did not allow it: {name}")
    typer.echo("Left for you to remove:")
    for one in done.elsewhere:
        typer.echo(f"- {one}")
    for sentence in CANNOT:
        typer.echo(sentence)
