"""Critical sections of single parts, each killed at every line: decisions, answers, vault, journal, exports, keys."""

from __future__ import annotations

import contextlib
from collections import Counter
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from datasites.approval.vault import Vault
from datasites.audit.entry import Kind
from datasites.audit.export import export
from datasites.audit.verify import verify
from datasites.catalog.registry import RegisteredTable, Registry
from datasites.catalog.tables import TableSource
from datasites.datasite import Datasite
from datasites.state import AnsweredRound, State, now
from datasites.wire import quarantine
from datasites.wire.canonical import sha256
from datasites.wire.decision import Decision, SignedDecision
from datasites.wire.dictionary import Dictionary
from datasites.wire.identity import Identity
from datasites.wire.manifest import Manifest, describe_files, sign_manifest
from datasites.wire.outputs import OutputContract
from datasites.wire.peers import PinnedPeers
from policies.errors import Refused
from researcher.buffer import Sent, Step, StepJournal
from researcher.journal import Checkpoint, Journal
from tests.crash.section import DOUBLED, HALF, LOST, Problem, Section, said, say
from tests.support.federation import DICTIONARY, stays

NORTH, ADA, STUDY = "do@north.org", "ada@uni.org", "a" * 64
_LOGGED = 5  # entries: four answers and a start
_VERDICTS = ("approved", "revoked", "approved")


def exactly_once(wanted: list[Any], there: list[Any], final: bool, sure: list[Any]) -> list[Problem]:
    """`sure` must be there at any time, `wanted` in the end, and nothing twice or unasked for."""
    found = Counter(there)
    problems = [(LOST, f"{one} is not there") for one in (wanted if final else sure) if not found[one]]
    return problems + [(DOUBLED, f"{one} is there {n} times") for one, n in found.items() if n > 1 or one not in wanted]


def log_problems(folder: Path, identity: Identity, state: State) -> list[Problem]:
    """Exports the audit log and verifies it as a third party would."""
    if state.audit.size == 0:
        return []
    path = folder / "export.jsonl"
    export(identity, state.audit, path)
    return [(HALF, f"{f.what}: {f.found}") for f in verify(path).findings if not f.good]


def _keys(folder: Path, email: str = NORTH) -> Identity:
    path = folder / f"{email}.json"
    return Identity.load(email, path) if path.exists() else Identity.create(email, path)


# decisions


def _decide(folder: Path) -> None:
    """Records, and reports, what was not recorded yet."""
    identity, state = _keys(folder), State(folder / "state.db")
    for number, verdict in list(enumerate(_VERDICTS, 1))[len(state.decisions()) :]:
        until = now() + timedelta(days=1) if verdict == "approved" else None
        decision = Decision(
            study=STUDY,
            hospital=NORTH,
            number=number,
            verdict=verdict,  # type: ignore[arg-type]
            rounds=2 if until else 0,
            expires_at=until,
            reason="",
            decided_by="me",
            decided_at=now(),
        )
        state.record_decision(SignedDecision.sign(decision, identity))
        say(folder, str(number))
    state.close()


def _decisions(folder: Path, final: bool) -> list[Problem]:
    state, wanted = State(folder / "state.db"), list(range(1, 1 + len(_VERDICTS)))
    there, sure = state.decisions(), [int(n) for n in said(folder)]
    problems = exactly_once(wanted, [one.decision.number for one in there], final, sure)
    logged = [(e["decision"], e["document"]) for e in state.audit.entries() if e["kind"] == "decided"]
    documents = [(one.decision.number, sha256(one.model_dump_json().encode())) for one in there]
    problems += exactly_once(documents, logged, True, [])
    problems += log_problems(folder, _keys(folder), state)
    state.close()
    return problems


# answers


def _answer(folder: Path) -> None:
    state = State(folder / "state.db")
    for number, outcome in enumerate(("released", "revoked", "died", "released"), 1):
        if state.last_round(STUDY) < number:
            reply = bytes([number]) * 400
            row = AnsweredRound(number, "b" * 64, outcome, True, True, reply, now().isoformat(), 0.5)
            state.record_answer(STUDY, row)
            say(folder, str(number))
    for answer in state.unposted(STUDY):
        say(folder, f"posted-{answer.number}:{sha256(answer.reply or b'')}")
        state.mark_posted(STUDY, answer.number)
    state.close()


def _answers(folder: Path, final: bool) -> list[Problem]:
    state, kinds = State(folder / "state.db"), ("released", "refused", "run_failed", "released")
    sure = [int(text) for text in said(folder) if text.isdecimal()]
    problems = exactly_once([1, 2, 3, 4], [one.number for one in state.answers(STUDY)], final, sure)
    logged = [(e["round"], e["kind"], e["reply"]) for e in state.audit.entries() if "reply" in e]
    true = [(one.number, kinds[one.number - 1], sha256(bytes([one.number]) * 400)) for one in state.answers(STUDY)]
    problems += exactly_once(true, logged, True, [])
    posted = {text for text in said(folder) if text.startswith("posted-")}  # the same bytes, if more than once
    problems += exactly_once(sorted(posted), sorted(posted), True, [])
    if final and (len(posted) != 4 or state.unposted(STUDY)):
        problems.append((LOST, f"only {len(posted)} answers were posted"))
    problems += log_problems(folder, _keys(folder), state)
    state.close()
    return problems


# the vault


@cache
def study_manifest() -> tuple[Manifest, dict[str, bytes]]:
    files = {"study.py": b"x = 1\n" * 50, "part/other.py": b"y = 2\n"}
    outputs = OutputContract(parameters={}, fit_metrics=(), evaluate_metrics=(), evaluate_arrays={})
    manifest = Manifest(
        name="study",
        purpose="Test",
        researcher=ADA,
        dataset="stays",
        dictionary="d" * 64,
        columns=("site",),
        files=describe_files(files),
        config={},
        rounds=2,
        seconds_per_round=60,
        outputs=outputs,
    )
    return manifest, files


def _keep(folder: Path) -> None:
    manifest, files = study_manifest()
    Vault(folder / "approved").keep(manifest, sign_manifest(manifest, _keys(folder, ADA)), files)
    say(folder, "kept")


def _kept(folder: Path, final: bool) -> list[Problem]:
    manifest, _ = study_manifest()
    vault = Vault(folder / "approved")
    if not (vault.folder / manifest.digest).exists():
        return [(LOST, "the approved bytes are not there")] if final or said(folder) else []
    try:
        vault.code(manifest.digest)
        vault.manifest(manifest.digest, _keys(folder, ADA).public)
    except Refused as why:
        return [(HALF, why.message)]
    return []


# the researcher's journal


def _state_of(number: int) -> dict[str, Any]:
    return {"w": np.arange(500) * number}


def _journal(folder: Path) -> None:
    journal = Journal(folder / "journal")
    journal.start(_state_of(0))
    for number in range(journal.checkpoint().messages + 1, 4):
        journal.close_round(Checkpoint(number, number, False, _state_of(number)), [{"message": number}])
        say(folder, str(number))


def _steps(folder: Path) -> None:
    """Asynchronous training: each step moves the state, and leaves a message out and an update in the buffer."""
    journal = Journal(folder / "journal")
    journal.start(_state_of(0))
    steps = StepJournal(journal)
    for number in range(steps.begin().messages + 1, 4):
        step = Step(
            number, number, {"ada@uni.org": Sent(number, number - 1, False)}, 1, float(number), _state_of(number)
        )
        steps.take(step, [{"message": number}], _state_of(number))
        say(folder, str(number))


def _stepped(folder: Path, final: bool) -> list[Problem]:
    """Which is what a restart finds when it has closed what was cut off."""
    journal = Journal(folder / "journal")
    if not list(journal.folder.glob("state*")) and not final and not said(folder):
        return []
    steps = StepJournal(journal)
    step = steps.begin()
    problems = _journalled(folder, final)
    if step.messages and (step.weight, set(step.sums["w"] - _state_of(step.messages)["w"])) != (step.messages, {0}):
        problems.append((HALF, "the buffer is not the one of its step"))
    for version in {step.version, *(sent.version for sent in step.out.values())}:
        if steps.state(version)["w"].tobytes() != _state_of(version)["w"].tobytes():
            problems.append((HALF, f"the state of version {version} is not what hospitals were sent"))
    return problems


def _journalled(folder: Path, final: bool) -> list[Problem]:
    journal = Journal(folder / "journal")
    if not list(journal.folder.glob("state*")) and not final and not said(folder):
        return []
    at = journal.checkpoint()  # raises when it is damaged
    problems = exactly_once(
        list(range(1, 1 + (3 if final else at.messages))),
        [record["message"] for record in journal.history()],
        True,
        [int(n) for n in said(folder)],
    )
    if at.parameters["w"].tobytes() != _state_of(at.messages)["w"].tobytes():
        problems.append((HALF, "the state is not the one of its round"))
    return problems


# single files


def _export(folder: Path) -> None:
    state = State(folder / "state.db")
    export(_keys(folder), state.audit, folder / "log.jsonl")
    say(folder, "exported")
    state.close()


def _exported(folder: Path, final: bool) -> list[Problem]:
    report = verify(folder / "log.jsonl")
    if report.size != _LOGGED and (final or said(folder) or report.size != _LOGGED - 1):
        return [(LOST, f"the export has {report.size} entries")]
    return [] if report.good else [(HALF, "the export cannot be verified")]


def _prepare_export(folder: Path) -> None:
    _answer(folder)
    _export(folder)
    (folder / "said").unlink()
    state = State(folder / "state.db")
    state.audit.record(Kind.AGENT_STARTED, fingerprint="")
    state.close()


def _create(folder: Path) -> None:
    with contextlib.suppress(Refused):  # there is one already
        Datasite.create(folder / "north", NORTH, f"file://{folder}/store").state.close()
    say(folder, "created")


def _created(folder: Path, final: bool) -> list[Problem]:
    if not final and not said(folder):
        return []
    with Datasite.opened(folder / "north") as site:
        kinds = [entry["kind"] for entry in site.state.audit.entries()]
        return exactly_once(["created"], kinds, True, []) + log_problems(folder, site.identity, site.state)


def _register(folder: Path) -> None:
    source = TableSource(path=folder / "stays.csv")
    Registry(folder / "datasets").add(RegisteredTable(source, Dictionary.load(DICTIONARY)))
    say(folder, "registered")


def _registered(folder: Path, final: bool) -> list[Problem]:
    names = Registry(folder / "datasets").names()
    for name in names:
        Registry(folder / "datasets").get(name)  # raises when it is damaged
    return exactly_once(["stays"], names, final, ["stays"] if said(folder) else [])


def _pin(folder: Path) -> None:
    peers = PinnedPeers(folder / "peers.json")
    for email in (ADA, "bob@uni.org"):
        peers.update(email, "accepted", _keys(folder, email).public.document)
        say(folder, email)


def _pinned(folder: Path, final: bool) -> list[Problem]:
    return exactly_once([ADA, "bob@uni.org"], PinnedPeers(folder / "peers.json").accepted(), final, said(folder))


def _put_aside(folder: Path) -> None:
    for number in (1, 2):
        quarantine.put_aside(folder / "quarantine", ADA, f"key-{number}", b"bad" * 99, "is no message")
        say(folder, f"key-{number}")


def _aside(folder: Path, final: bool) -> list[Problem]:
    place, sure = folder / "quarantine", said(folder)
    there = [note["object"] for note in quarantine.notes(place)]
    for note in place.glob("*.json"):
        if note.with_suffix(".message").read_bytes() != b"bad" * 99:
            return [(HALF, "a refused message was not kept whole")]
    return exactly_once(["key-1", "key-2"], there, final, sure)


def _prepare_table(folder: Path) -> None:
    stays(1, 10).to_csv(folder / "stays.csv", index=False)


def _prepare_keys(folder: Path) -> None:
    for email in (NORTH, ADA, "bob@uni.org"):
        _keys(folder, email)


SECTIONS = (
    Section("a decision is recorded", _prepare_keys, _decide, _decide, _decisions),
    Section("an answer is recorded, and marked as posted", _prepare_keys, _answer, _answer, _answers),
    Section("approved bytes are kept", _prepare_keys, _keep, _keep, _kept),
    Section("the researcher closes a round", _prepare_keys, _journal, _journal, _journalled),
    Section("asynchronous training takes a step", _prepare_keys, _steps, _steps, _stepped),
    Section("an audit log is exported", _prepare_export, _export, _export, _exported),
    Section("a datasite is created", _prepare_keys, _create, _create, _created),
    Section("a table is registered", _prepare_table, _register, _register, _registered),
    Section("a peer's keys are pinned", _prepare_keys, _pin, _pin, _pinned),
    Section("a message is put aside", _prepare_keys, _put_aside, _put_aside, _aside),
)
