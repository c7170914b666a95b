"""Critical sections of what goes through Syft and the store, killed at lines of ours and of Syft's sync: submissions,
decisions, refused rounds, heads, peers and mock twins."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from types import CodeType

import syft
import syft_datasets
import syft_job

import researcher as wr
from datasites.agent import Agent
from datasites.datasite import Datasite
from datasites.settings import DatasiteSettings
from datasites.wire import keys, quarantine
from datasites.wire.arrays import Arrays
from datasites.wire.canonical import sha256
from datasites.wire.rounds import RoundRequest, encode_request
from datasites.wire.store import Store
from policies.errors import InvalidInput
from researcher.rehearsal import rehearse
from tests.crash.fork import in_child
from tests.crash.pieces import ADA, NORTH, exactly_once, log_problems
from tests.crash.section import DOUBLED, HALF, LOST, MESS, Problem, Section, ours, said, say
from tests.support.federation import DICTIONARY, POLICY, STUDY, stays, wait_for

_SYFT = (syft, syft_datasets, syft_job)
_FOLDERS = tuple(f"{Path(str(package.__file__)).parent}/" for package in _SYFT)
# functions that write files, rows and objects, and those that say in which order; what lies between changes nothing
_WRITING = {
    *("put", "delete", "write_atomically", "put_aside", "update", "keep", "close_round", "_write_state", "move"),
    *("record", "record_once", "record_answer", "record_decision", "mark_posted", "add", "_keep", "_remember"),
    *("follow", "_set_status", "_answer", "_post", "publish", "publish_twin", "trust", "approve", "_record", "send"),
    *("write_file", "delete_file", "delete_directory", "_write_to_file", "_save_rolling_state", "write_state"),
    *("add_events_message_to_local_cache", "handle_proposed_filechange_events_message", "process_local_changes"),
    *("process_syftbox_events_queue", "pull_and_process_next_proposed_filechange", "apply_event_message"),
    *("sync_down_parallel", "_add_events_to_rolling_state", "_upload_rolling_state", "compact_outbox_if_needed"),
    *("approve_peer_request", "create_dataset", "delete_dataset", "submit_python_job", "push_job_files"),
    *("owner_download_next_raw_proposed_message_from_inbox", "write_encryption_bundle", "write_own_version"),
}


def writing(code: CodeType) -> bool:
    return code.co_name in _WRITING and (ours(code) or code.co_filename.startswith(_FOLDERS))


class _Once(Agent):
    """An agent that looks once, lets every study's session do what there is to do, and stops."""

    def _loop(self) -> None:
        self._look()
        self._match_sessions()
        self._audit()
        for study in self._sessions:
            wait_for(lambda s=study: not self._busy(s), "the answers to be posted")

    def _busy(self, study: str) -> bool:
        asked = [int(keys.last(n)) for n in self._store.names(keys.rounds_down(study, self.settings.email))]
        return max(asked, default=0) > self._state.last_round(study) or bool(self._state.unposted(study))


def look(folder: Path) -> None:
    """What a hospital's agent does in its first second."""
    home = _site(folder).home
    _Once(home, DatasiteSettings.load(home.path)).serve()


def _site(folder: Path) -> Datasite:
    return Datasite(folder / "north")


def _connect(folder: Path) -> wr.Federation:
    return wr.connect(folder / "federation.toml", ADA, home=folder / "ada")


def _study() -> wr.Study:
    return wr.Study(name="study", purpose="Test", code=STUDY, dataset="stays", config={}, rounds=3)


def _job() -> str:
    return "study"


# templates, each one step further than the one before; each is made once

Step = Callable[[Path], None]


def _after(before: Step) -> Callable[[Step], Step]:
    """Makes of a step the template that is there after `before` and the step."""

    def stage(step: Step) -> Step:
        def prepare(folder: Path) -> None:
            kept = folder.parent.parent / "stages" / step.__name__
            if not kept.exists():
                before(folder)
                step(folder)
                (folder / "said").unlink(missing_ok=True)
                shutil.copytree(folder, kept)
            else:
                shutil.copytree(kept, folder, dirs_exist_ok=True)

        return prepare

    return stage


def _nothing(folder: Path) -> None:
    """An empty folder."""


@_after(_nothing)
def _open(folder: Path) -> None:
    """A datasite, and a researcher who asks to be its peer."""
    store = f"file://{folder}/store"
    stays(1, 20).to_csv(folder / "stays.csv", index=False)
    site = Datasite.create(folder / "north", NORTH, store)
    site.set_policy("stays", POLICY)
    site.state.close()
    entry = f'[hospitals.north]\nemail = "{NORTH}"\nfingerprint = "{site.fingerprint}"'
    (folder / "federation.toml").write_text(f'store = "{store}"\n{entry}\n')
    _connect(folder)


@_after(_open)
def _published(folder: Path) -> None:
    _publish(folder)


@_after(_published)
def _peers(folder: Path) -> None:
    _trust(folder)
    look(folder)
    federation = _connect(folder)
    rehearsal = rehearse(_study(), federation.datasets("stays"))
    (folder / "rehearsal").write_bytes(pickle.dumps(rehearsal))


@_after(_peers)
def _submitted(folder: Path) -> None:
    _submit(folder)


@_after(_submitted)
def _seen(folder: Path) -> None:
    look(folder)


@_after(_seen)
def _decided(folder: Path) -> None:
    _site(folder).approve(_job())


@_after(_decided)
def _told(folder: Path) -> None:
    look(folder)


@_after(_told)
def _asked(folder: Path) -> None:
    """A study that was approved and revoked, and a round of it that waits for an answer."""
    federation = _connect(folder)
    submission, site = federation.submission("study"), _site(folder)
    site.revoke(_job(), reason="Stop.")
    number = 1
    request = RoundRequest(study=submission.digest, number=number, hospital=NORTH, evaluate=True, fit=True)
    state: Arrays = submission.journal.checkpoint().parameters
    sealed = federation.identity.seal(site.identity.public, encode_request(request, state))
    federation.store.put(keys.round_down(submission.digest, NORTH, number), sealed)


# what is killed


def _publish(folder: Path) -> None:
    _site(folder).publish(DICTIONARY, folder / "stays.csv")
    say(folder, "published")


def _trust(folder: Path) -> None:
    site = _site(folder)
    fingerprint = site.researcher_keys(ADA).fingerprint
    site.trust(ADA, fingerprint)
    say(folder, "trusted")


def _trust_again(folder: Path) -> None:
    with contextlib.suppress(InvalidInput):  # a peer already
        _trust(folder)
    look(folder)


def _submit(folder: Path) -> None:
    rehearsal = pickle.loads((folder / "rehearsal").read_bytes())  # noqa: S301
    study = _study()
    federation = _connect(folder)
    federation.submit(study, dataclasses.replace(rehearsal, study=study))
    say(folder, "submitted")


def _submit_again(folder: Path) -> None:
    _submit(folder)
    look(folder)
    look(folder)


def _decide(folder: Path) -> None:
    _site(folder).approve(_job())
    say(folder, "approved")


def _decide_again(folder: Path) -> None:
    if not said(folder) and _site(folder).state.decisions() == []:
        _decide(folder)
    look(folder)


def _fetch(folder: Path) -> None:
    if _connect(folder).submission("study").decisions():
        say(folder, "fetched")


# what must be true


def _inside(check: Callable[[Path, bool], list[Problem]]) -> Callable[[Path, bool], list[Problem]]:
    """Checks that use the store run in a process of their own: its threads must not be in the one that is forked."""

    def checked(folder: Path, final: bool) -> list[Problem]:
        answer = folder / "problems"
        in_child(lambda: _write(answer, check(folder, final)))
        return [(kind, text) for kind, text in json.loads(answer.read_text())]

    return checked


def _write(path: Path, found: list[Problem]) -> None:
    path.write_text(json.dumps(found))


def _site_problems(folder: Path) -> list[Problem]:
    site = _site(folder)
    # a researcher who cannot know that the study was sent sends it again; the same bytes may also be somebody's replay
    reasons = [note["why"] for note in quarantine.notes(site.home.quarantine)]
    again = said(folder) == ["submitted"] and reasons == ["changes a submission that is there already"]
    found = [] if again else [(MESS, f"put aside: {why}") for why in reasons]
    return found + log_problems(folder, site.identity, site.state)


def _received_once(folder: Path, final: bool) -> list[Problem]:
    if not final:
        return []
    site = _site(folder)
    digests = [one.digest for one in site.office.submissions()]
    wanted = [path.name for path in (folder / "ada" / "studies").iterdir()]
    noted = [entry["study"] for entry in site.state.audit.entries() if entry["kind"] == "study_received"]
    found = exactly_once(wanted, digests, True, []) + exactly_once(wanted, noted, True, [])
    waiting = [n for n in Store(site.settings.store).names(keys.box(NORTH, "inbox", ADA)) if not n.endswith(".peer")]
    found += [(MESS, f"{name} still lies in the inbox") for name in waiting]
    return found + _site_problems(folder)


def _decision_once(folder: Path, final: bool) -> list[Problem]:
    site = _site(folder)
    there = [one.decision.number for one in site.state.decisions()]
    found = exactly_once([1], there, final, [1] if "approved" in said(folder) else [])
    if final:
        told = list(_connect(folder).submission("study").decisions())
        found += exactly_once([NORTH], told, True, [])
        found += _site_problems(folder)
    return found


def _answered_once(folder: Path, final: bool) -> list[Problem]:
    site = _site(folder)
    study = next(path.name for path in (folder / "ada" / "studies").iterdir())
    logged = [(e["round"], e["kind"], e["reply"]) for e in site.state.audit.entries(study) if "reply" in e]
    raw = Store(site.settings.store).get(keys.round_up(study, 1, NORTH))
    there = [(1, "refused", sha256(raw))] if raw is not None else []
    found = [(LOST, "an answer in the store is not in the log") for one in there if one not in logged]
    found += [(DOUBLED, "a round was answered twice")] if len(logged) > 1 else []
    if final:
        found += [] if there else [(LOST, "the answer is not in the store")]
        found += _site_problems(folder)
    return found


def _twin_shown(folder: Path, final: bool) -> list[Problem]:
    if not final:
        return []
    names = [dataset.name for dataset in _connect(folder).datasets()]
    accepted = [entry["peer"] for entry in _site(folder).state.audit.entries() if entry["kind"] == "peer_accepted"]
    found = [] if accepted else [(LOST, "the acceptance is not in the log")]
    return found + exactly_once(["stays"], names, True, []) + _site_problems(folder)


def _publish_again(folder: Path) -> None:
    if not said(folder):
        _publish(folder)
    look(folder)


def _heads_agree(folder: Path, final: bool) -> list[Problem]:
    verdicts = _connect(folder).witness()["verdict"].tolist()
    good = ("consistent",) if final else ("consistent", "nothing")
    return [(HALF, f"the log's heads are {v}") for v in verdicts if v not in good] + _site_problems(folder)


SECTIONS = (
    Section("a researcher submits a study", _peers, _submit, _submit_again, _inside(_received_once), writing),
    Section("the agent receives a submission", _submitted, look, look, _inside(_received_once), writing),
    Section("the owner approves a study", _seen, _decide, _decide_again, _inside(_decision_once), writing),
    Section("the agent tells of a decision", _decided, look, look, _inside(_decision_once), writing),
    Section("the researcher fetches a decision", _told, _fetch, _fetch, _inside(_decision_once), writing),
    Section("a round is answered and posted", _asked, look, look, _inside(_answered_once), writing),
    Section("the owner accepts a researcher", _published, _trust, _trust_again, _inside(_twin_shown), writing),
    Section("the owner publishes a table again", _peers, _publish, _publish_again, _inside(_twin_shown), writing),
    Section("an agent shows and watches heads", _told, look, look, _inside(_heads_agree), writing),
)
