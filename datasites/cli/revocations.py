"""`wardround federation fetch-revocations`: for the machine of the store."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

_SOON_DAYS = 30


def fetch_revocations(
    source: Annotated[str, typer.Argument(help="Where the authority's crl.pem is: a file, or an http(s) address.")],
    front: Annotated[Path, typer.Option("--front", help="The folder of the store's front.", file_okay=False)] = Path(),
) -> None:
    """Bring the newest list of revoked certificates to the store's front, and have it heeded. For a timer there.

    The list is checked against the authority that the front knows, and an older one never replaces a newer one.
    """
    from datasites.onboarding.revocations import fetch

    found = fetch(front.expanduser().resolve(), source)
    what = "A new list is heeded" if found.changed else "Nothing is new"
    typer.echo(f"{what}: {found.revoked} revoked; it ends on {found.ends:%Y-%m-%d}.")
    if (found.ends - datetime.now(UTC)).days < _SOON_DAYS:
        typer.echo("It ends soon, and then the front lets nobody in: wardround federation renew-store.", err=True)
