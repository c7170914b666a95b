"""What stock Syft refuses as well, but quietly; here the hospital hears of it."""

from __future__ import annotations

from tests.attacks.inbox.attack import Attacks, landed, send
from tests.attacks.world import EVE, SECRET, ZOE, Happened, Ward
from tests.support.parties import job_files, job_folder

OUTSIDE = "has a path outside the sender's own inbox"
ATTACKS = Attacks()


# what stock Syft refuses as well, quietly; the hospital should hear of it


@ATTACKS.noted(OUTSIDE)
def writes_into_anothers_inbox(ward: Ward) -> Happened:
    send(ward, job_files(ZOE, "planted"))
    return landed(ward, f"{job_folder(ZOE, 'planted')}/run.sh")


@ATTACKS.noted(OUTSIDE)
def writes_private_data(ward: Ward) -> Happened:
    send(ward, {"private/secret.txt": "OVERWRITTEN"})
    return lambda: (ward.owner.tree / "private/secret.txt").read_text() != SECRET


@ATTACKS.noted(OUTSIDE)
def climbs_out_of_her_inbox(ward: Ward) -> Happened:
    send(ward, {f"app_data/job/inbox/{EVE}/../../../../private/secret.txt": "OVERWRITTEN"})
    return lambda: (ward.owner.tree / "private/secret.txt").read_text() != SECRET


@ATTACKS.noted(OUTSIDE)
def names_an_absolute_path(ward: Ward) -> Happened:
    target = ward.folder / "absolute.txt"
    send(ward, {str(target): "x"})
    return target.exists


@ATTACKS.noted(OUTSIDE)
def sends_permissions_with_the_job(ward: Ward) -> Happened:
    path = f"{job_folder(EVE, 'rules')}/code/syft.pub.yaml"
    send(ward, {**job_files(EVE, "rules"), path: "rules: []\n"})
    return landed(ward, path)
