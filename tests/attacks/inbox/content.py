"""What nobody can review, and more than anybody would."""

from __future__ import annotations

from datasites.wire import limits
from tests.attacks.inbox.attack import Attacks, landed, raw, send, wedged
from tests.attacks.world import EVE, OWNER, Happened, Ward
from tests.support.parties import job_files, job_folder, proposal, propose

ATTACKS = Attacks()


@ATTACKS.noted("not text")
def sends_a_binary_file(ward: Ward) -> Happened:
    path = f"{job_folder(EVE, 'binary')}/code/weights.bin"
    send(ward, {**job_files(EVE, "binary"), path: b"\x93NUMPY\xff"})
    return landed(ward, path)


@ATTACKS.noted("NUL or carriage-return")
def hides_code_from_the_terminal(ward: Ward) -> Happened:
    hidden = "steal()\rx = 1  \n"
    send(ward, job_files(EVE, "hidden", **{"a.py": hidden}))
    return landed(ward, f"{job_folder(EVE, 'hidden')}/code/a.py", hidden)


@ATTACKS.noted("not text of at most")
def sends_a_file_too_large(ward: Ward) -> Happened:
    send(ward, job_files(EVE, "large", big="x" * (limits.SUBMISSION_FILE_BYTES + 1)))
    return landed(ward, f"{job_folder(EVE, 'large')}/code/big")


@ATTACKS.noted("An object in the store has")
def sends_a_message_too_large(ward: Ward) -> Happened:
    raw(ward, bytes(limits.SUBMISSION_BYTES + 1))
    return wedged(ward)


@ATTACKS.noted("unpacks to more than")
def sends_a_decompression_bomb(ward: Ward) -> Happened:
    send(ward, job_files(EVE, "bomb", big="x" * (limits.SUBMISSION_BYTES + 1)))
    return landed(ward, f"{job_folder(EVE, 'bomb')}/code/big")


@ATTACKS.noted("files, allowed are")
def sends_too_many_files(ward: Ward) -> Happened:
    send(ward, job_files(EVE, "many", **{f"f{i}": "" for i in range(limits.SUBMISSION_FILES)}))
    return landed(ward, f"{job_folder(EVE, 'many')}/code/f0")


@ATTACKS.noted("has an unreadable job description")
def sends_an_alias_bomb(ward: Ward) -> Happened:
    files = job_files(EVE, "laughs")
    path = f"{job_folder(EVE, 'laughs')}/config.yaml"
    layers = "\n".join(f"  l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 9))
    files[path] += f"headers:\n  l0: &l0 [x]\n{layers}\n"
    send(ward, files)
    return landed(ward, path)


@ATTACKS.noted("has an unreadable job description")
def sends_a_shell_job(ward: Ward) -> Happened:
    files = job_files(EVE, "shell")
    path = f"{job_folder(EVE, 'shell')}/config.yaml"
    files[path] = files[path].replace("type: python", "type: bash")
    send(ward, files)
    return landed(ward, path)


@ATTACKS.noted("is not one whole job")
def sends_half_a_job(ward: Ward) -> Happened:
    path = f"{job_folder(EVE, 'half')}/code/study.py"
    send(ward, {path: "x = 1\n"})
    return landed(ward, path)


@ATTACKS.noted("is not one whole job")
def sends_two_jobs_in_one(ward: Ward) -> Happened:
    send(ward, {**job_files(EVE, "first"), **job_files(EVE, "second")})
    return landed(ward, f"{job_folder(EVE, 'second')}/run.sh")


@ATTACKS.noted("holds files that do not belong to a job")
def sends_files_beside_the_code(ward: Ward) -> Happened:
    path = f"{job_folder(EVE, 'beside')}/outputs/result.txt"
    send(ward, {**job_files(EVE, "beside"), path: "made up"})
    return landed(ward, path)


@ATTACKS.noted("names a file twice")
def sends_a_file_twice(ward: Ward) -> Happened:
    message = proposal(EVE, OWNER, job_files(EVE, "double"))
    again = proposal(EVE, OWNER, {f"{job_folder(EVE, 'double')}/code/study.py": "steal()\n"})
    changes = [*message.proposed_file_changes, *again.proposed_file_changes]
    propose(ward.eve, ward.owner, message.model_copy(update={"proposed_file_changes": changes}))
    return landed(ward, f"{job_folder(EVE, 'double')}/code/study.py", "steal()\n")
