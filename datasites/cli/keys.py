"""`wardround datasite rotate-keys` and `distrust`: whose keys count."""

from __future__ import annotations

from typing import Annotated

import typer

from datasites.cli.options import DEFAULT_HOME, HomeOption, YesOption, opened


def rotate_keys(yes: YesOption = False, home: HomeOption = DEFAULT_HOME) -> None:
    """Replace this datasite's keys: peers follow by themselves, and the audit log and all approvals stay good.

    Stop the agent first. Not for keys that were stolen: who has them could do the same. See docs/lifecycle.md.
    """
    with opened(home) as site:
        typer.echo(f"The keys of {site.settings.email} have the fingerprint {site.fingerprint}.")
        for email in site.cannot_follow():
            typer.echo(f"{email} runs a release that cannot follow: it would have to accept this datasite anew.")
        if not yes:
            typer.confirm("Replace them by new ones, which they introduce to all peers?", abort=True)
        done = site.rotate_keys()
        typer.echo(f"Replaced. The new fingerprint is {done.after}: have it put into federation files.")
        if not done.shown:
            typer.echo("The store could not be reached: peers see it once the agent serves.")


def distrust(
    email: Annotated[str, typer.Argument(help="The peer's address: a researcher, or a hospital whose log is watched.")],
    yes: YesOption = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Stop trusting a peer: its keys are forgotten, its messages are not read, approvals of its studies are revoked.

    Whoever comes by that address later is a stranger: compare the fingerprint over the telephone before `trust`.
    """
    with opened(home) as site:
        if not yes:
            typer.confirm(f"Stop trusting {email}, and revoke what was approved for it?", abort=True)
        revoked = site.distrust(email)
        typer.echo(f"{email} is no peer any more. Studies revoked: {len(revoked)}.")
