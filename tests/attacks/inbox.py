"""What a hostile researcher can post to a hospital. Every function posts, and returns how to see that it worked.

The reason is what the hospital notes in its quarantine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from syft.sync.messages.proposed_filechange import ProposedFileChangesMessage
from syft.sync.utils.syftbox_utils import get_event_hash_from_content

from datasites.wire import keys, limits
from datasites.wire.identity import Identity
from tests.attacks.archives import packed, sparse
from tests.attacks.world import EVE, OWNER, SECRET, ZOE, Happened, Ward
from tests.support.parties import job_files, job_folder, post, proposal, propose, submit

FOREIGN = "is not signed by them for us"


@dataclass(frozen=True)
class Attack:
    act: Callable[[Ward], Happened]
    reason: str

    def __str__(self) -> str:
        return self.act.__name__


ATTACKS: list[Attack] = []


def noted(reason: str) -> Callable[[Callable[[Ward], Happened]], Callable[[Ward], Happened]]:
    def register(act: Callable[[Ward], Happened]) -> Callable[[Ward], Happened]:
        ATTACKS.append(Attack(act, reason))
        return act

    return register


def _send(ward: Ward, files: Mapping[str, str | bytes], sender: str = EVE, old: Mapping[str, str] | None = None) -> None:
    propose(ward.eve, ward.owner, proposal(sender, OWNER, files, old))


def _raw(ward: Ward, data: bytes) -> None:
    """Bytes in eve's own box."""
    post(ward.eve, ward.owner, data, proposal(EVE, OWNER, {}))


def _sealed(ward: Ward, plaintext: bytes) -> None:
    _raw(ward, ward.eve.identity.seal(ward.owner.identity.public, plaintext))


def _edited(ward: Ward, message: ProposedFileChangesMessage, pattern: str, replacement: str) -> None:
    """The message with its JSON text changed, as one's own program can write it."""
    _sealed(ward, packed(re.sub(pattern, replacement, message.model_dump_json(indent=2)).encode()))


def _landed(ward: Ward, path: str, content: str | bytes | None = None) -> Happened:
    target = ward.owner.tree / path
    wanted = content.encode() if isinstance(content, str) else content
    return lambda: target.is_file() and (wanted is None or target.read_bytes() == wanted)


def _wedged(ward: Ward) -> Happened:
    return lambda: not ward.honest_job_arrives()


def _submitted(ward: Ward, name: str) -> Path:
    """A good job of eve's that the hospital has received."""
    arrived = submit(ward.eve, ward.owner, name)
    ward.sync()
    assert [job.name for job in ward.owner.client.job_client.jobs] == [name]
    ward.sync()
    return arrived


# speaking for somebody else


@noted("names another sender than the one who signed it")
def approves_its_own_job(ward: Ward) -> Happened:
    _submitted(ward, "mine")
    path = f"app_data/job/review/{EVE}/v1/mine/state.yaml"
    state = (ward.owner.tree / path).read_text()
    approved = state.replace("pending", "approved")
    _send(ward, {path: approved}, OWNER, old={path: get_event_hash_from_content(state)})
    return lambda: "status: approved" in (ward.owner.tree / path).read_text()


@noted("names another sender than the one who signed it")
def overwrites_private_data_as_the_owner(ward: Ward) -> Happened:
    _send(ward, {"x/../private/secret.txt": "OVERWRITTEN"}, OWNER)
    return _landed(ward, "private/secret.txt", "OVERWRITTEN")


@noted("names another sender than the one who signed it")
def writes_the_root_permissions_as_the_owner(ward: Ward) -> Happened:
    rules = f"rules:\n- pattern: '**'\n  access: {{read: ['*'], write: ['{EVE}'], admin: []}}\nterminal: false\n"
    _send(ward, {"syft.pub.yaml": rules}, OWNER)
    return _landed(ward, "syft.pub.yaml", rules)


@noted("names another sender than the one who signed it")
def submits_in_anothers_name(ward: Ward) -> Happened:
    _send(ward, job_files(ZOE, "forged"), ZOE)
    return _landed(ward, f"{job_folder(ZOE, 'forged')}/code/study.py")


@noted("is for another datasite")
def names_another_datasite(ward: Ward) -> Happened:
    propose(ward.eve, ward.owner, proposal(EVE, "do@elsewhere.org", job_files(EVE, "elsewhere")))
    return _landed(ward, f"{job_folder(EVE, 'elsewhere')}/run.sh")


# changing what is there


@noted("changes a submission that is there already")
def changes_code_after_the_approval(ward: Ward) -> Happened:
    code = _submitted(ward, "approved")
    ward.owner.client.job_client.jobs[0].approve()
    path = f"{job_folder(EVE, 'approved')}/code/study.py"
    _send(ward, {path: "steal()\n"}, old={path: get_event_hash_from_content(code.read_text())})
    return _landed(ward, path, "steal()\n")


@noted("changes a submission that is there already")
def changes_run_sh_after_the_approval(ward: Ward) -> Happened:
    _submitted(ward, "approved")
    ward.owner.client.job_client.jobs[0].approve()
    path = f"{job_folder(EVE, 'approved')}/run.sh"
    _send(ward, {path: "cat private/*\n"}, old={path: get_event_hash_from_content("true\n")})
    return _landed(ward, path, "cat private/*\n")


@noted("changes a submission that is there already")
def adds_a_file_after_the_approval(ward: Ward) -> Happened:
    _submitted(ward, "approved")
    path = f"{job_folder(EVE, 'approved')}/code/numpy.py"
    _send(ward, {path: "steal()\n"})
    return _landed(ward, path)


@noted("deletes or replaces a file")
def deletes_a_file(ward: Ward) -> Happened:
    message = proposal(EVE, OWNER, job_files(EVE, "deletes"))
    changes = [change.model_copy(update={"is_deleted": True, "content": None}) for change in message.proposed_file_changes]
    propose(ward.eve, ward.owner, message.model_copy(update={"proposed_file_changes": changes}))
    return _wedged(ward)


# messages that Syft cannot apply, and stops at


@noted("deletes or replaces a file")
def replaces_what_is_not_there(ward: Ward) -> Happened:
    files = job_files(EVE, "poison")
    _send(ward, files, old=dict.fromkeys(files, "0" * 64))
    return _wedged(ward)


@noted("changes a submission that is there already")
def replays_a_message(ward: Ward) -> Happened:
    message = proposal(EVE, OWNER, job_files(EVE, "twice"))
    envelope = ward.eve.identity.seal(ward.owner.identity.public, message.as_compressed_data())
    post(ward.eve, ward.owner, envelope, message)
    ward.sync()
    _raw(ward, envelope)
    return _wedged(ward)


@noted("names one path as a file and as a folder")
def names_a_file_as_a_folder(ward: Ward) -> Happened:
    _send(ward, job_files(EVE, "folder", a="1", a__b="2"))
    return _wedged(ward)


@noted("characters")
def names_a_path_too_long_for_the_disk(ward: Ward) -> Happened:
    _send(ward, job_files(EVE, "deep", **{"/".join(["d" * 120] * 40): "1"}))
    return _wedged(ward)


@noted("has a time that is not a number")
def stores_a_time_that_cannot_be_read_again(ward: Ward) -> Happened:
    message = proposal(EVE, OWNER, job_files(EVE, "late"))
    _edited(ward, message, r'"submitted_timestamp": [0-9.e+]+', '"submitted_timestamp": 1e999')
    ward.sync()
    return lambda: not _starts_again(ward)


def _starts_again(ward: Ward) -> bool:
    try:
        ward.join(OWNER, "owner").sync()
    except ValueError:
        return False
    return True


@noted(FOREIGN)
def posts_garbage(ward: Ward) -> Happened:
    _raw(ward, b"\x00garbage" * 100)
    return _wedged(ward)


@noted(FOREIGN)
def posts_nothing(ward: Ward) -> Happened:
    _raw(ward, b"")
    return _wedged(ward)


@noted(FOREIGN)
def posts_without_signature_and_encryption(ward: Ward) -> Happened:
    _raw(ward, proposal(EVE, OWNER, job_files(EVE, "plain")).as_compressed_data())
    return _wedged(ward)


@noted(FOREIGN)
def a_stranger_posts_into_her_box(ward: Ward) -> Happened:
    stranger = Identity.create(EVE, ward.folder / "stranger.json")
    message = proposal(EVE, OWNER, job_files(EVE, "stranger"))
    _raw(ward, stranger.seal(ward.owner.identity.public, message.as_compressed_data()))
    return _wedged(ward)


@noted(FOREIGN)
def the_store_moves_a_message_to_another_box(ward: Ward) -> Happened:
    message = proposal(ZOE, OWNER, job_files(ZOE, "moved"))
    _raw(ward, ward.zoe.identity.seal(ward.owner.identity.public, message.as_compressed_data()))
    return _wedged(ward)


@noted(FOREIGN)
def the_store_hands_over_a_message_for_another(ward: Ward) -> Happened:
    message = proposal(EVE, OWNER, job_files(EVE, "for-zoe"))
    _raw(ward, ward.eve.identity.seal(ward.zoe.identity.public, message.as_compressed_data()))
    return _wedged(ward)


@noted("is not a readable tar.gz archive")
def posts_no_archive(ward: Ward) -> Happened:
    _sealed(ward, b"not an archive")
    return _wedged(ward)


@noted("is not a single plain file in a tar archive")
def posts_a_sparse_archive(ward: Ward) -> Happened:
    bomb = sparse(1 << 20)
    assert len(bomb) < 1000
    _sealed(ward, bomb)
    return _wedged(ward)


@noted("is not a Syft message")
def posts_text_that_cannot_be_written(ward: Ward) -> Happened:
    _edited(ward, proposal(EVE, OWNER, job_files(EVE, "surrogate")), "x = 1", r"\\ud800")
    return _wedged(ward)


@noted("")
def publishes_a_version_that_cannot_be_compared(ward: Ward) -> Happened:
    fields = ("syft_client_version", "min_supported_syft_client_version", "protocol_version")
    text = ", ".join(f'"{field}": "newest"' for field in (*fields, "min_supported_protocol_version"))
    ward.eve.store.put(f"{keys.participant(EVE)}/version.json", f"{{{text}}}".encode())
    return _wedged(ward)


# content that nobody can review, and more than anybody would


@noted("not text")
def sends_a_binary_file(ward: Ward) -> Happened:
    path = f"{job_folder(EVE, 'binary')}/code/weights.bin"
    _send(ward, {**job_files(EVE, "binary"), path: b"\x93NUMPY\xff"})
    return _landed(ward, path)


@noted("NUL or carriage-return")
def hides_code_from_the_terminal(ward: Ward) -> Happened:
    hidden = "steal()\rx = 1  \n"
    _send(ward, job_files(EVE, "hidden", **{"a.py": hidden}))
    return _landed(ward, f"{job_folder(EVE, 'hidden')}/code/a.py", hidden)


@noted("not text of at most")
def sends_a_file_too_large(ward: Ward) -> Happened:
    _send(ward, job_files(EVE, "large", big="x" * (limits.SUBMISSION_FILE_BYTES + 1)))
    return _landed(ward, f"{job_folder(EVE, 'large')}/code/big")


@noted("An object in the store has")
def sends_a_message_too_large(ward: Ward) -> Happened:
    _raw(ward, bytes(limits.SUBMISSION_BYTES + 1))
    return _wedged(ward)


@noted("unpacks to more than")
def sends_a_decompression_bomb(ward: Ward) -> Happened:
    _send(ward, job_files(EVE, "bomb", big="x" * (limits.SUBMISSION_BYTES + 1)))
    return _landed(ward, f"{job_folder(EVE, 'bomb')}/code/big")


@noted("files, allowed are")
def sends_too_many_files(ward: Ward) -> Happened:
    _send(ward, job_files(EVE, "many", **{f"f{i}": "" for i in range(limits.SUBMISSION_FILES)}))
    return _landed(ward, f"{job_folder(EVE, 'many')}/code/f0")


@noted("has an unreadable job description")
def sends_an_alias_bomb(ward: Ward) -> Happened:
    files = job_files(EVE, "laughs")
    path = f"{job_folder(EVE, 'laughs')}/config.yaml"
    layers = "\n".join(f"  l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 9))
    files[path] += f"headers:\n  l0: &l0 [x]\n{layers}\n"
    _send(ward, files)
    return _landed(ward, path)


@noted("has an unreadable job description")
def sends_a_shell_job(ward: Ward) -> Happened:
    files = job_files(EVE, "shell")
    path = f"{job_folder(EVE, 'shell')}/config.yaml"
    files[path] = files[path].replace("type: python", "type: bash")
    _send(ward, files)
    return _landed(ward, path)


@noted("is not one whole job")
def sends_half_a_job(ward: Ward) -> Happened:
    path = f"{job_folder(EVE, 'half')}/code/study.py"
    _send(ward, {path: "x = 1\n"})
    return _landed(ward, path)


@noted("is not one whole job")
def sends_two_jobs_in_one(ward: Ward) -> Happened:
    _send(ward, {**job_files(EVE, "first"), **job_files(EVE, "second")})
    return _landed(ward, f"{job_folder(EVE, 'second')}/run.sh")


@noted("holds files that do not belong to a job")
def sends_files_beside_the_code(ward: Ward) -> Happened:
    path = f"{job_folder(EVE, 'beside')}/outputs/result.txt"
    _send(ward, {**job_files(EVE, "beside"), path: "made up"})
    return _landed(ward, path)


@noted("names a file twice")
def sends_a_file_twice(ward: Ward) -> Happened:
    message = proposal(EVE, OWNER, job_files(EVE, "double"))
    again = proposal(EVE, OWNER, {f"{job_folder(EVE, 'double')}/code/study.py": "steal()\n"})
    changes = [*message.proposed_file_changes, *again.proposed_file_changes]
    propose(ward.eve, ward.owner, message.model_copy(update={"proposed_file_changes": changes}))
    return _landed(ward, f"{job_folder(EVE, 'double')}/code/study.py", "steal()\n")


# what stock Syft refuses as well, quietly; the hospital should hear of it

REFUSED_BY_BOTH: list[Attack] = []


def refused_by_both(act: Callable[[Ward], Happened]) -> Callable[[Ward], Happened]:
    REFUSED_BY_BOTH.append(Attack(act, "has a path outside the sender's own inbox"))
    return act


@refused_by_both
def writes_into_anothers_inbox(ward: Ward) -> Happened:
    _send(ward, job_files(ZOE, "planted"))
    return _landed(ward, f"{job_folder(ZOE, 'planted')}/run.sh")


@refused_by_both
def writes_private_data(ward: Ward) -> Happened:
    _send(ward, {"private/secret.txt": "OVERWRITTEN"})
    return lambda: (ward.owner.tree / "private/secret.txt").read_text() != SECRET


@refused_by_both
def climbs_out_of_her_inbox(ward: Ward) -> Happened:
    _send(ward, {f"app_data/job/inbox/{EVE}/../../../../private/secret.txt": "OVERWRITTEN"})
    return lambda: (ward.owner.tree / "private/secret.txt").read_text() != SECRET


@refused_by_both
def names_an_absolute_path(ward: Ward) -> Happened:
    target = ward.folder / "absolute.txt"
    _send(ward, {str(target): "x"})
    return target.exists


@refused_by_both
def sends_permissions_with_the_job(ward: Ward) -> Happened:
    path = f"{job_folder(EVE, 'rules')}/code/syft.pub.yaml"
    _send(ward, {**job_files(EVE, "rules"), path: "rules: []\n"})
    return _landed(ward, path)
