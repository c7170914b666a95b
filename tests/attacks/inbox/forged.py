"""Speaking for somebody else, and changing what was approved."""

from __future__ import annotations

from syft.sync.utils.syftbox_utils import get_event_hash_from_content

from tests.attacks.inbox.attack import Attacks, landed, send, submitted, wedged
from tests.attacks.world import EVE, OWNER, ZOE, Happened, Ward
from tests.support.parties import job_files, job_folder, proposal, propose

ATTACKS = Attacks()


@ATTACKS.noted("names another sender than the one who signed it")
def approves_its_own_job(ward: Ward) -> Happened:
    submitted(ward, "mine")
    path = f"app_data/job/review/{EVE}/v1/mine/state.yaml"
    state = (ward.owner.tree / path).read_text()
    approved = state.replace("pending", "approved")
    send(ward, {path: approved}, OWNER, old={path: get_event_hash_from_content(state)})
    return lambda: "status: approved" in (ward.owner.tree / path).read_text()


@ATTACKS.noted("names another sender than the one who signed it")
def overwrites_private_data_as_the_owner(ward: Ward) -> Happened:
    send(ward, {"x/../private/secret.txt": "OVERWRITTEN"}, OWNER)
    return landed(ward, "private/secret.txt", "OVERWRITTEN")


@ATTACKS.noted("names another sender than the one who signed it")
def writes_the_root_permissions_as_the_owner(ward: Ward) -> Happened:
    rules = f"rules:\n- pattern: '**'\n  access: {{read: ['*'], write: ['{EVE}'], admin: []}}\nterminal: false\n"
    send(ward, {"syft.pub.yaml": rules}, OWNER)
    return landed(ward, "syft.pub.yaml", rules)


@ATTACKS.noted("names another sender than the one who signed it")
def submits_in_anothers_name(ward: Ward) -> Happened:
    send(ward, job_files(ZOE, "forged"), ZOE)
    return landed(ward, f"{job_folder(ZOE, 'forged')}/code/study.py")


@ATTACKS.noted("is for another datasite")
def names_another_datasite(ward: Ward) -> Happened:
    propose(ward.eve, ward.owner, proposal(EVE, "do@elsewhere.org", job_files(EVE, "elsewhere")))
    return landed(ward, f"{job_folder(EVE, 'elsewhere')}/run.sh")


@ATTACKS.noted("changes a submission that is there already")
def changes_code_after_the_approval(ward: Ward) -> Happened:
    code = submitted(ward, "approved")
    ward.owner.client.job_client.jobs[0].approve()
    path = f"{job_folder(EVE, 'approved')}/code/study.py"
    send(ward, {path: "steal()\n"}, old={path: get_event_hash_from_content(code.read_text())})
    return landed(ward, path, "steal()\n")


@ATTACKS.noted("changes a submission that is there already")
def changes_run_sh_after_the_approval(ward: Ward) -> Happened:
    submitted(ward, "approved")
    ward.owner.client.job_client.jobs[0].approve()
    path = f"{job_folder(EVE, 'approved')}/run.sh"
    send(ward, {path: "cat private/*\n"}, old={path: get_event_hash_from_content("true\n")})
    return landed(ward, path, "cat private/*\n")


@ATTACKS.noted("changes a submission that is there already")
def adds_a_file_after_the_approval(ward: Ward) -> Happened:
    submitted(ward, "approved")
    path = f"{job_folder(EVE, 'approved')}/code/numpy.py"
    send(ward, {path: "steal()\n"})
    return landed(ward, path)


@ATTACKS.noted("deletes or replaces a file")
def deletes_a_file(ward: Ward) -> Happened:
    message = proposal(EVE, OWNER, job_files(EVE, "deletes"))
    changes = [
        change.model_copy(update={"is_deleted": True, "content": None}) for change in message.proposed_file_changes
    ]
    propose(ward.eve, ward.owner, message.model_copy(update={"proposed_file_changes": changes}))
    return wedged(ward)
