"""The agent's own loop: Syft's sync, new requests, and one session for every study that may run."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

from datasites.agent.followed import KeyWatch
from datasites.agent.gossip.session import GossipSession
from datasites.agent.recovery import Sent, finish_interrupted_sync, open_client
from datasites.agent.session import StudySession
from datasites.agent.sweep import Sweep, Sweeper, Terms
from datasites.agent.trouble import PASSING, Trouble
from datasites.agent.workbench import Workbench
from datasites.approval.office import Office
from datasites.approval.submissions import BadSubmission, Submission
from datasites.audit.auditor import Auditor
from datasites.audit.heads import LogMismatch
from datasites.backup.put_back import mark
from datasites.home import DatasiteHome
from datasites.monitoring.setbacks import count
from datasites.rotation import finish as finish_rotation
from datasites.runner.executors.choose import executor_of
from datasites.settings import DatasiteSettings
from datasites.state import State, now
from datasites.wire import protocol, successions
from datasites.wire.connection.directory import published_document
from datasites.wire.files import write_atomically
from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.login import connection_of
from datasites.wire.pace import Pace
from datasites.wire.quiet import quiet
from policies.errors import Refused, WardroundError

log = logging.getLogger(__name__)
_BUSY_FACTOR = 5  # while rounds come in, new requests may wait longer: a sync takes the time of several rounds
_BEAT_SECONDS = 5.0  # how often the agent shows that it runs
_DECISION_SECONDS = 0.2  # how soon an approval given in another process is acted on


class Agent:
    """Serves one datasite; a second agent on the same home is refused."""

    def __init__(self, home: DatasiteHome, settings: DatasiteSettings) -> None:
        self.home = home
        home.create()
        self.settings = settings
        self.stopping = threading.Event()
        self._sessions: dict[str, StudySession] = {}
        self._told: set[str] = set()
        self._welcomed: set[str] = set()
        self._trouble = Trouble("the agent")
        self._client: Any = None
        self._cut_off = True  # the last sync, or that of a process before this one
        self._beaten = 0.0

    def serve(self) -> None:
        """Runs until `stopping` is set. Raises Unavailable where no study can be confined, and Refused when another
        agent serves this home, or when its audit log is not what the hospital has shown of it before. A store that is
        away, or a full disk, is waited for."""
        self._executor = executor_of(self.settings)  # its sandbox is tried now, and not in the first round
        with self.home.alone():
            self._executor.tidy()
            if put_back := mark(self.home):
                raise Refused(
                    f"This datasite comes from a backup made {put_back.made}; what happened since is not in it.",
                    "See what that means, and decide: wardround datasite confirm-restore.",
                )
            self._identity = Identity.load(self.settings.email, self.home.keys)
            try:
                while not (opened := self._open()) and not self.stopping.wait(self.settings.sync_seconds):
                    pass
                if opened:
                    self.home.alarm.unlink(missing_ok=True)
                    self._serve_audited()
            except LogMismatch as why:  # who looks after the machine learns of it from what stays here
                write_atomically(self.home.alarm, json.dumps({"at": now().isoformat(), "why": why.message}).encode())
                raise
            finally:
                self.home.heartbeat.unlink(missing_ok=True)

    def _open(self) -> bool:
        """Whether all that needs the store and the disk is there, up to the log's entry that the agent has started."""
        try:
            self._prepare()
        except PASSING as problem:
            self._met(problem)
            return False
        self._trouble.over()
        return True

    def _prepare(self) -> None:
        home, settings = self.home, self.settings
        self._put_new_keys_in_place()
        self._client = open_client(home, settings)
        self._store = connection_of(self._client).store
        self._sent = Sent(home)
        self._state = State(home.state)
        try:
            self._office = Office(home, self._identity, self._client.job_client, self._state)
            audit, seconds = self._state.audit, settings.audit_seconds
            self._auditor = Auditor(self._identity, audit, self._store, self._keys_of, home.quarantine, seconds)
            self._auditor.start()
            self._keys = KeyWatch(home, audit, self._office.peers, connection_of(self._client), seconds)
            self._state.ledger.recover()  # and first compares it with the audit log
        except BaseException:
            self._state.close()
            raise

    def _put_new_keys_in_place(self) -> None:
        state = State(self.home.state)
        try:
            if finish_rotation(self.home, self.settings.email, state.audit):
                self._identity = Identity.load(self.settings.email, self.home.keys)
        finally:
            state.close()

    def _serve_audited(self) -> None:
        log.info("%s serves; keys %s", self.settings.email, self._identity.public.fingerprint)
        terms = Terms.of_days(self.settings.keep_days, self.settings.unfinished_days)
        sweep = Sweep(self._store, self._state, self.settings.email, terms)
        self._sweeper = Sweeper(sweep, self._studies, self.stopping)
        self._sweeper.start()
        try:
            self._loop()
        finally:
            self.stopping.set()
            self._sweeper.join()
            for session in self._sessions.values():
                session.finish()
            self._auditor.stop()
            self._state.close()

    def _studies(self) -> list[str]:
        return [signed.decision.study for signed in self._state.current_decisions()]

    def _loop(self) -> None:
        often = self.settings.sync_seconds
        pace = Pace(self.settings.idle_seconds if self._store.remote else often, quick=often)
        next_sync, acts = 0.0, self._owners_acts()
        while not self.stopping.is_set():
            if acts != (acts := self._owners_acts()):
                pace.came()
                next_sync = min(next_sync, time.monotonic() + often)
            busy = any(session.in_use for session in self._sessions.values())
            if time.monotonic() >= next_sync + (often * (_BUSY_FACTOR - 1) if busy else 0):
                if self._look():
                    pace.came()
                next_sync = time.monotonic() + pace.wait()
            elif time.monotonic() - self._beaten > _BEAT_SECONDS:
                self._beat(self._trouble.now)
            try:
                self._match_sessions()
            except PASSING as problem:
                self._met(problem)
            self._audit()
            self.stopping.wait(_DECISION_SECONDS)

    def _owners_acts(self) -> tuple[int, ...]:
        """Another value when the owner has done something, by a command beside this agent, that others must be told."""
        return (*self._state.told(), *(_changed(path) for path in (self.home.peers, self.home.datasets)))

    def _look(self) -> bool:
        """Syncs with the store and puts Syft's view right; whether there was anything new. Whatever goes wrong is tried
        again at the next look: rounds and revocations must not wait for it."""
        before, changed = self._known(), False
        try:
            if self._cut_off:
                finish_interrupted_sync(self.home, self.settings.email)
            self._cut_off = True
            changed = self._sync()
            if changed:
                self._sync()  # what a decision changed is told at once
        except PASSING as problem:
            self._met(problem)
        except Exception as problem:  # the outermost loop: Syft may fail in ways of its own
            count(problem, "sync")
            log.exception("the sync failed")
        else:
            self._cut_off = False
            self._follow_keys(sweep=False)
            if self._beat():
                self._trouble.over()
        return changed or self._cut_off or self._known() != before

    def _known(self) -> tuple[int, int | None]:
        return len(self._told), self._waiting_peers()

    def _waiting_peers(self) -> int | None:
        return len(self._client.peer_manager.requested_by_peer_peers) if self._client else None

    def _sync(self) -> bool:
        """Whether a decision left more to send."""
        with self.home.syft_tree(), quiet():
            missing = self._sent.missing()  # noted by a sync that was cut off, or by a command beside this agent
            if missing:
                connection_of(self._client).drop_received()
            self._client.sync(force_download_peer_state=True)
            welcome = set(self._office.peers.accepted()) - self._welcomed
            for peer in sorted(welcome):  # an acceptance that was cut off is finished: mock twins, and a box for jobs
                self._client.approve_peer_request(peer, verbose=False)
            if missing or welcome:
                hashes = self._client.sync_engine.datasite_owner_syncer.event_cache.file_hashes
                self._sent.forget(missing, hashes)
                self._client.sync(force_download_peer_state=True)
            self._sent.mark()
            self._welcomed |= welcome
        changed = False
        for one in self._office.received():
            if isinstance(one, BadSubmission):
                self._office.reject_bad(one)
            elif why := self._strange(one):
                self._office.reject_bad(BadSubmission(why, one.job))
            else:
                self._announce(one)
                self._repeat(one)
                changed |= self._office.follow(one)
        return changed

    def _met(self, problem: Exception) -> None:
        self._trouble.met(problem)
        self._beat(self._trouble.now)

    def _beat(self, problem: str = "") -> bool:
        """Tells that the agent runs; whether its disk took it."""
        self._beaten = time.monotonic()
        content = {
            "pid": os.getpid(),
            "at": now().isoformat(),
            "problem": problem,
            "peers_waiting": self._waiting_peers(),
        }
        try:
            write_atomically(self.home.heartbeat, json.dumps(content).encode())
        except OSError as error:  # a full disk still takes the time of what is there
            with contextlib.suppress(OSError):
                os.utime(self.home.heartbeat)
            if not problem:
                self._trouble.met(error)
            return False
        return True

    def _audit(self) -> None:
        try:
            self._auditor.look()
            self._follow_keys(sweep=True)
        except Refused:
            raise  # the log is not what others have seen of it: nothing may run on
        except Exception:  # as in `_look`
            log.exception("heads of audit logs could not be exchanged")

    def _follow_keys(self, *, sweep: bool) -> None:
        """Heeds peers that have replaced their keys, or whose keys two claim. sweep: asks the store for them too."""
        changed = self._keys.look() if sweep else self._keys.noted()
        for study, session in list(self._sessions.items()):
            if session.researcher in changed:
                session.finish()  # another one begins with the keys that are pinned now, if there are any
                del self._sessions[study]

    def _keys_of(self, email: str) -> PublicIdentity | None:
        document = published_document(connection_of(self._client), email)
        if not document:
            return None
        said = [one.model_dump(mode="json") for one in successions.shown(self._store, email)]
        return successions.public_of(email, document, said)

    def _strange(self, one: Submission) -> str:
        """Why a study that is new here cannot be understood, although it can be read; empty where it can."""
        if one.digest in self._told or self._state.decision(one.digest):
            return ""
        try:
            protocol.agreed(protocol.of(self._store, self._office.peers.require(one.manifest.researcher)))
        except Refused as problem:
            return problem.message
        return ""

    def _announce(self, one: Submission) -> None:
        digest = one.digest
        if digest in self._told:
            return
        self._office.note(one)
        if self._state.decision(digest) is None:
            manifest = one.manifest
            log.info("new study %s from %s waits for a decision", manifest.job_name, manifest.researcher)
        self._told.add(digest)

    def _repeat(self, one: Submission) -> None:
        """Approves a repetition that the table's policy lets pass without a person."""
        signed = self._office.approve_repetition(one, self.settings.approval_days)
        if signed is not None:
            log.info("study %s is approved: %s", one.manifest.job_name, signed.decision.reason)

    def _match_sessions(self) -> None:
        """Starts a session for each study that may run, and ends those of studies that are over."""
        decisions = [signed.decision for signed in self._state.current_decisions()]
        over = self._sweeper.over
        known = {d.study for d in decisions if d.verdict != "denied" and over.get(d.study) != d.number}
        for study in self._sessions.keys() - known:  # over for long: nobody looks for its rounds any more
            self._sessions[study].finish()
        self._sessions = {study: session for study, session in self._sessions.items() if session.is_alive()}
        for session in self._sessions.values():
            (session.closed.clear if session.admission.refusal() is None else session.closed.set)()
        for study in known - self._sessions.keys():
            # a revoked study has its session too: it tells the researcher why, and removes the view of the table
            self._start(study)

    def _start(self, study: str) -> None:
        try:
            manifest = self._office.vault.manifest(study)
            researcher = self._office.peers.require(manifest.researcher)
            manifest = self._office.vault.manifest(study, researcher)
        except WardroundError as problem:
            if study not in self._told:
                log.error("study %s cannot be served: %s", study[:12], problem)
            self._told.add(study)
            return
        limits, idle = self.settings.limits, self.settings.worker_idle_seconds
        bench = Workbench(self.home, manifest, limits, idle, self._executor)
        told = self._identity, researcher, self._store, self._state, bench, self.settings.poll_seconds
        follow = functools.partial(connection_of(self._client).follow, researcher.email)
        network = manifest.gossip
        session = (
            GossipSession(*told, follow, network=network, keys_of=self._keys_of)
            if network
            else StudySession(*told, follow)
        )
        self._sessions[study] = session
        session.start()
        log.info("study %s is open for rounds", manifest.job_name)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
