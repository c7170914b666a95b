"""`wardround datasite backup`, `restore` and `confirm-restore`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from datasites.cli.options import DEFAULT_HOME, HomeOption, YesOption, opened

if TYPE_CHECKING:
    from datasites.backup.confirm import Outside

VARIABLE = "WARDROUND_BACKUP_PASSPHRASE"
FileArgument = Annotated[Path, typer.Argument(help="The sealed file.", dir_okay=False)]


def backup(
    file: FileArgument,
    private: Annotated[
        bool, typer.Option("--private", help="With tables' files, and what studies left here: patients' data.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Save the datasite in one sealed file, also while its agent serves: books, keys, policies, what was approved.

    The passphrase comes from WARDROUND_BACKUP_PASSPHRASE_FILE or _COMMAND, or the terminal. Without it the file is
    worth nothing. Tables are not in it, unless --private.
    """
    from datasites.wire.passphrase import new_passphrase

    with opened(home) as site:
        entries = site.backup(file, new_passphrase("the backup", VARIABLE), private=private)
    typer.echo(f"Saved in {file}, with {entries:,} entries of the audit log. It is old once another round is answered.")


def restore(file: FileArgument, home: HomeOption = DEFAULT_HOME) -> None:
    """Make a datasite from a backup, in a new folder. It does not serve until you confirm-restore it."""
    from datasites.backup.put_back import described, put_back
    from datasites.wire.passphrase import passphrase

    typer.echo(f"A backup of {described(file)}.")
    about = put_back(file, home, passphrase(file, VARIABLE))
    typer.echo(f"{about.email} is restored in {home}, as it was at {about.at} ({about.entries:,} entries).")
    typer.echo("It does not serve yet. Next: wardround datasite confirm-restore")


def confirm_restore(yes: YesOption = False, home: HomeOption = DEFAULT_HOME) -> None:
    """See what others know of the time since the backup was made, and let the agent serve again."""
    with opened(home) as site:
        seen = site.look_outside()
        for line in _told(seen):
            typer.echo(line)
        if not yes:
            typer.confirm("Go on from this backup?", abort=True)
        site.confirm_restore(seen)
    typer.echo("Confirmed. Next: wardround datasite serve")


def _told(seen: Outside) -> list[str]:
    if not seen.newer:
        return [
            f"The backup has {seen.kept:,} entries, and nobody is known to have seen more: nothing is lost as far as "
            "the store and other hospitals can tell.",
        ]
    lines = [f"The backup has {seen.kept:,} entries of the audit log."]
    if seen.lost:
        head = seen.lost.head
        lines.append(
            f"{', '.join(seen.holders)} knows {head.size:,}, up to {head.at:%Y-%m-%d %H:%M} UTC: "
            f"{head.size - seen.kept:,} entries are lost."
        )
    for study, number in sorted(seen.rounds.items()):
        lines.append(f"Study {study[:12]}: round {number} was answered, and the backup does not know of it.")
    return [
        *lines,
        "What was spent, revoked or decided since cannot be known. If you go on from this backup:",
        "- the privacy budget of every table is closed (reopen one that you answer for: wardround budget reopen);",
        "- all approvals in force are revoked; you can approve again;",
        "- the audit log says that these entries are lost, and other hospitals and researchers are shown so, for good.",
        "Also look yourself: peers you had distrusted since are trusted again, policies are as they were then.",
        "If there is a newer backup, stop here and restore that one.",
    ]
