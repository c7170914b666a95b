"""`wardround federation front`: the store's front as this release writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def front(
    folder: Annotated[Path, typer.Option("--folder", help="The consortium's folder.", file_okay=False)] = Path(
        "consortium"
    ),
) -> None:
    """Write the configuration of the store's front anew: after an upgrade, or another port in consortium.toml.

    Certificates, keys and the list of revoked ones stay. Nothing of it names a participant: it is not needed when one
    joins or leaves.
    """
    from datasites.onboarding.consortium import Consortium
    from datasites.onboarding.front import write_front
    from datasites.wire.files import private_folder

    place = Consortium.load(folder).store
    store = private_folder(folder / "store")
    write_front(store, place.bucket, place.port)
    typer.echo(f"Copy nginx.conf, start.sh, reload.sh and compose.yaml of {store} to the store, run ./reload.sh there.")
