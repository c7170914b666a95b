"""`wardround federation bucket-policy`: for stores that hold participants to their own boxes themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

_NEXT = {
    "aws": "Attach each to an IAM group; put users in them that are called by their addresses.",
    "ceph": "Apply it: s3cmd setpolicy {folder}/bucket-policy.json s3://{bucket}",
    "seaweedfs": "Start the gateway with it: weed s3 -config={folder}/identities.json. It holds secret keys.",
}


def bucket_policy(
    kind: Annotated[Literal["aws", "ceph", "seaweedfs"], typer.Option(help="Of which store.")] = "aws",
    account: Annotated[str, typer.Option(help="Of Ceph: the tenant of the users; often empty.")] = "",
    folder: Annotated[Path, typer.Option("--folder", help="The consortium's folder.", file_okay=False)] = Path(
        "consortium"
    ),
) -> None:
    """Write access policies for the consortium's bucket, so that each participant keeps to its own boxes.

    For a bucket of a cloud or of the hospital's own, without the consortium's front. Make them anew, and apply them,
    when participants come or go; those for AWS stay the same.
    """
    from datasites.onboarding.bucket_policy import policies, written
    from datasites.onboarding.consortium import Consortium
    from datasites.wire.files import private_folder, write_atomically

    consortium = Consortium.load(folder)
    bucket, place = consortium.store.bucket, private_folder(folder / "bucket-policy")
    hospitals = [one.email for one in consortium.hospitals.values()]
    researchers = [one.email for one in consortium.researchers.values()]
    for name, content in policies(kind, bucket, hospitals, researchers, account).items():
        write_atomically(place / name, written(content))
        typer.echo(f"Made {place / name}.")
    typer.echo(_NEXT[kind].format(folder=place, bucket=bucket))
