"""What must be true of a federation after any crash, worked out from its files without the code that wrote them."""

from __future__ import annotations

import json
import re
import sqlite3
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from datasites.audit.export import export
from datasites.audit.verify import verify
from datasites.datasite import Datasite
from datasites.state import AnsweredRound
from datasites.wire import quarantine
from datasites.wire.arrays import Arrays
from datasites.wire.canonical import sha256
from datasites.wire.decision import SignedDecision
from tests.crash.section import DOUBLED, HALF, LOST, MESS, Problem
from tests.support.federation import next_state

_ENDS = {"released", "refused", "run_failed"}
# what a process that died was just writing, and nobody reads: drafts beside their places
_DRAFT = re.compile(r"(^|/)\.|\.draft$|#\d+$|\.tmp(\.|$)")


class Memory:
    """What was seen so far: it may only grow."""

    def __init__(self) -> None:
        self.replies: dict[str, str] = {}  # name in the store -> digest of its bytes
        self.heads: dict[str, int] = {}
        self.decided: dict[tuple[str, str], list[str]] = {}  # what the command line reported as done


def replies_problems(store: Path, memory: Memory) -> list[Problem]:
    """A reply that was ever visible never changes or goes."""
    found = []
    for path in store.glob("rounds/*/up/*/*@*.org"):
        name, digest = path.relative_to(store).as_posix(), sha256(path.read_bytes())
        if memory.replies.setdefault(name, digest) != digest:
            found.append((DOUBLED, f"the reply {name} changed in the store"))
    return found + [(LOST, f"the reply {n} left the store") for n in memory.replies if not (store / n).exists()]


def site_problems(site: Datasite, store: Path, memory: Memory, scratch: Path) -> list[Problem]:
    there = {path: sha256(path.read_bytes()) for path in store.glob(f"rounds/*/up/*/{site.settings.email}")}
    with site.state.audit.transaction():  # the agent goes on meanwhile: all of one moment, and not before the replies
        entries, decisions = site.state.audit.entries(), site.state.decisions()
        answers = {s: site.state.answers(s) for s in {signed.decision.study for signed in decisions}}
    found = _log_problems(site, entries, memory, scratch)
    found += _decision_problems(site, decisions, entries, memory)
    for study, answered in answers.items():
        replies = {int(path.parent.name): digest for path, digest in there.items() if study in path.parts}
        found += _answer_problems(study, answered, [e for e in entries if e.get("study") == study], replies)
    received = Counter(e["study"] for e in entries if e["kind"] == "study_received")
    found += [(DOUBLED, f"study {study[:8]} arrived {n} times") for study, n in received.items() if n > 1]
    notes = [note for note in quarantine.notes(site.home.quarantine) if "there already" not in note["why"]]
    return found + [(MESS, f"an honest message was put aside: {note['why']}") for note in notes]


def _log_problems(site: Datasite, entries: list[dict[str, Any]], memory: Memory, scratch: Path) -> list[Problem]:
    """The log is whole, and never shorter than it was."""
    size = export(site.identity, site.state.audit, scratch)
    found = [(HALF, f"audit log: {f.what}: {f.found}") for f in verify(scratch).findings if not f.good]
    before = memory.heads.get(site.settings.email, 0)
    memory.heads[site.settings.email] = size
    if size < before or [e["number"] for e in entries] != list(range(1, len(entries) + 1)):
        found.append((LOST, f"the audit log had {before} entries and has {size}"))
    return found


def _decision_problems(
    site: Datasite, decisions: list[SignedDecision], entries: list[dict[str, Any]], memory: Memory
) -> list[Problem]:
    """Each decision once, with its entry; and those that the command line reported, in their order."""
    found: list[Problem] = []
    logged = Counter((e["study"], e["decision"], e["document"]) for e in entries if e["kind"] == "decided")
    by_study: dict[str, list[str]] = {}
    for signed in decisions:
        decision = signed.decision
        by_study.setdefault(decision.study, []).append(decision.verdict)
        if not signed.verified(site.identity.public) or decision.number != len(by_study[decision.study]):
            found.append((HALF, f"decision {decision.number} on {decision.study[:8]} is not whole"))
        logged[decision.study, decision.number, sha256(signed.model_dump_json().encode())] -= 1
    found += [(LOST if n < 0 else DOUBLED, f"a decision's entry: {k[0][:8]} {k[1]}") for k, n in logged.items() if n]
    for (email, study), verdicts in memory.decided.items():
        there = by_study.get(study, [])
        if email == site.settings.email and there != verdicts:
            kind = LOST if len(there) < len(verdicts) else DOUBLED
            found.append((kind, f"reported on {study[:8]}: {verdicts}, there is: {there}"))
    return found


def _answer_problems(
    study: str, answered: list[AnsweredRound], entries: list[dict[str, Any]], replies: dict[int, str]
) -> list[Problem]:
    """Each answered round has one answer and one entry with the digest of the very bytes that are in the store."""
    found: list[Problem] = []
    ends = Counter(e["round"] for e in entries if e["kind"] in _ENDS)
    digests = {e["round"]: e["reply"] for e in entries if e["kind"] in _ENDS}
    answers = Counter(answer.number for answer in answered)
    found += [(DOUBLED, f"round {n} of {study[:8]} has {k} entries") for n, k in ends.items() if k > 1]
    found += [(LOST, f"round {n} of {study[:8]} has no entry") for n in answers if n not in ends]
    found += [(LOST, f"round {n} of {study[:8]} has no answer") for n in ends if n not in answers]
    for number, digest in replies.items():
        if digests.get(number) != digest:
            found.append((DOUBLED, f"round {number} of {study[:8]}: the store has other bytes than the log says"))
    return found


def expected(sites: list[Datasite], tables: dict[str, Any], study: str, initial: Arrays) -> Arrays:
    """The global state after all answered rounds: FedAvg by its formula, over those whose answers were released."""
    released = [(a.number, site.settings.email) for site in sites for a in site.state.answers(study) if _trained(a)]
    state = initial
    for number in sorted({number for number, _ in released}):
        state = next_state(state, [tables[email] for n, email in released if n == number], number)
    return state


def _trained(answer: AnsweredRound) -> bool:
    return bool(answer.fit and answer.outcome == "released")


def half_written(root: Path) -> list[Problem]:
    """Parses every file of homes and store."""
    found: list[Problem] = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and not _DRAFT.search(name):
            try:
                _parse(path)
            except (ValueError, yaml.YAMLError, sqlite3.Error, OSError) as problem:
                found.append((HALF, f"{name}: {type(problem).__name__} {problem}"[:300]))
    return found


def _parse(path: Path) -> None:
    data = path.read_bytes()
    if path.suffix == ".json" or path.parent.name.startswith("syftbox-event"):
        json.loads(data)
    elif path.suffix == ".toml":
        tomllib.loads(data.decode())
    elif path.suffix in (".yaml", ".yml"):
        if not yaml.safe_load(data):
            raise ValueError("is empty")
    elif path.suffix == ".db":
        with sqlite3.connect(path) as db:
            if db.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                raise ValueError("fails its integrity check")
    elif path.suffix == ".parquet" and not (data[:4] == data[-4:] == b"PAR1"):
        raise ValueError("is cut off")
