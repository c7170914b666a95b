"""A hospital's datasite, for its data owner's notebook and for the command line."""

from __future__ import annotations

import getpass
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from datasites.approval import excerpts
from datasites.approval.office import Office
from datasites.approval.packet import Packet
from datasites.approval.policy import PolicyBook
from datasites.approval.submissions import Submission
from datasites.audit.entry import Kind
from datasites.audit.reputation import Reputation
from datasites.audit.trail import AuditTrail
from datasites.audit.witness import witnessed
from datasites.catalog.registry import RegisteredTable, Registry
from datasites.catalog.tables import TableSource
from datasites.heartbeat import alive, trouble
from datasites.home import STUDY_LOG, DatasiteHome
from datasites.release.held import HeldOutput, held_outputs
from datasites.settings import FILE, DatasiteSettings, write_settings
from datasites.state import State
from datasites.wire import protocol
from datasites.wire.decision import Decision
from datasites.wire.dictionary import Dictionary
from datasites.wire.excerpt import Excerpt
from datasites.wire.identity import Identity, PublicIdentity, check_email, same_fingerprint
from datasites.wire.peers import PinnedPeers
from datasites.wire.shown import Shown
from datasites.wire.store import Store
from datasites.wire.store_options import beside
from policies.errors import InvalidInput, Refused, Unavailable
from policies.policy import Policy
from policies.privacy.cache import NumberCache

if TYPE_CHECKING:
    from datasites.backup.confirm import Outside
    from datasites.buttons import Buttons
    from datasites.ledger.view import TableBudget
    from datasites.rotation import Replaced


class Datasite(Shown):
    """Opens the datasite in `home`. Use it beside a running agent; both heed each other at once.

    Raises InvalidInput when there is none, or its settings are wrong.
    """

    def __init__(self, home: str | Path) -> None:
        self.home = DatasiteHome(Path(home).expanduser().resolve())
        self.settings = DatasiteSettings.load(self.home.path)
        self.identity = Identity.load(self.settings.email, self.home.keys)
        self.state = State(self.home.state)

    @classmethod
    def create(
        cls,
        home: str | Path,
        email: str,
        store: str,
        name: str = "",
        store_options: Mapping[str, str] | None = None,
        passphrase: bytes | None = None,
    ) -> Datasite:
        """Makes a datasite's private folder, keys and settings file. Raises Refused where there is one already.

        store_options: written into the settings; files are named from the home folder on, and are there already.
        passphrase: to keep the keys under; later it is looked for as `datasites.wire.passphrase` says.
        """
        place = DatasiteHome(Path(home).expanduser().resolve())
        address = check_email(email)
        if (place.path / FILE).exists():
            raise Refused(f"There is a datasite in {place.path} already.", "Choose another folder, or move it away.")
        Store(store, beside(place.path, store_options or {}))  # a wrong address is told now, not at the first sync
        place.create()
        # the settings come last, as they make the folder a datasite: what a crash cut off is done again from its start
        known = place.keys.exists()
        keys = Identity.load(address, place.keys) if known else Identity.create(address, place.keys, passphrase)
        state = State(place.state)
        try:
            if state.audit.size == 0:
                state.audit.record(Kind.CREATED, hospital=address, fingerprint=keys.public.fingerprint)
        finally:
            state.close()
        write_settings(place.path, address, name, store, store_options)
        return cls(place.path)

    @classmethod
    @contextmanager
    def opened(cls, home: str | Path) -> Iterator[Datasite]:
        """The datasite, closed at the end of the block."""
        site = cls(home)
        try:
            yield site
        finally:
            site.state.close()

    @property
    def fingerprint(self) -> str:
        """Of this hospital's keys, for researchers to compare."""
        return self.identity.public.fingerprint

    def _facts(self) -> dict[str, object]:
        decided = Counter(signed.decision.verdict for signed in self.state.current_decisions())
        return {
            "name": self.settings.name,
            "address": self.settings.email,
            "fingerprint": self.fingerprint,
            "agent": "serving" if alive(self.home.heartbeat) else "not running",
            "trouble": trouble(self.home.heartbeat),
            "tables": ", ".join(Registry(self.home.datasets).names()),
            "decided": ", ".join(f"{count} {verdict}" for verdict, count in sorted(decided.items())),
        }

    def _repr_html_(self) -> str:
        listed = self.studies()
        shown = str(listed.drop(columns="digest").to_html(index=False)) if len(listed) else ""
        return super()._repr_html_() + shown

    def publish(
        self,
        dictionary: Dictionary | str | Path,
        table: str | Path | None = None,
        *,
        sql_url: str | None = None,
        query: str | None = None,
        ignore_other_columns: bool = False,
        seed: int | None = None,
    ) -> int:
        """Checks a table against its dictionary, and shows dictionary and mock twin to approved peers.

        The table stays where it is; the twin is invented from the dictionary alone, by `seed` (one of the hospital's
        own when left out). Returns the table's number of
        rows, which is not published. Raises InvalidInput naming every offending column.
        """
        from datasites.catalog.publish import publish_twin

        path = Path(table).expanduser().resolve() if table else None
        described = dictionary if isinstance(dictionary, Dictionary) else Dictionary.load(dictionary)
        source = TableSource(path=path, sql_url=sql_url, query=query)
        rows = Registry(self.home.datasets).add(RegisteredTable(source, described, ignore_other_columns))
        name, digest = described.table.name, described.digest
        self.state.audit.record(Kind.PUBLISHED, dataset=name, dictionary=digest)  # first: nothing is shown unrecorded
        client = self._client  # made before the lock is taken, which it takes itself
        with self.home.syft_tree():
            publish_twin(client, self.identity, self.settings.name, described, seed)
        return rows

    # researchers

    def peer_requests(self) -> pd.DataFrame:
        """Researchers who want to connect, with the fingerprints of their keys."""
        rows = [(email, self._published(email)) for email in self._connection.get_peer_requests()]
        shown = [(email, public.fingerprint if public else "") for email, public in rows]
        return pd.DataFrame(shown, columns=["researcher", "fingerprint"])

    def trust(self, email: str, fingerprint: str) -> None:
        """Accepts a researcher as a peer: they see the mock twins and may submit studies. Nothing runs by this.

        fingerprint: what the researcher read to you over the telephone. Raises Refused when their keys have another.
        """
        from datasites.wire.quiet import quiet

        address = check_email(email)
        public = self.researcher_keys(address)
        if not same_fingerprint(fingerprint, public.fingerprint):
            raise Refused(
                f"The fingerprint does not match: {address} shows {public.fingerprint}.",
                "Do not accept. Telephone the researcher: someone may be impersonating them.",
            )
        protocol.agreed(protocol.of(self._connection.store, public))
        self._connection.peers.expected[address] = public.fingerprint
        self.state.audit.record(Kind.PEER_ACCEPTED, peer=address, fingerprint=public.fingerprint)
        with self.home.syft_tree(), quiet():
            self._client.sync()
            self._client.approve_peer_request(address, verbose=False)
            self._client.sync()

    def distrust(self, email: str) -> list[Decision]:
        """Stops trusting a peer: its pinned keys are forgotten, nothing of it is read any more, and approvals of its
        studies are revoked, which are returned. Whoever comes by that address later is a stranger, whose fingerprint
        you compare. Of another hospital, it forgets what it has seen of its audit log. Raises InvalidInput for nobody
        that is known here.
        """
        from datasites.audit.witness import forget

        address = check_email(email)
        peers = PinnedPeers(self.home.peers)
        entry = peers.all().get(address, {})
        known = [one.hospital for one in witnessed(self.state.audit) if one.hospital.email == address]
        if not entry and not known:
            raise InvalidInput(f"{address} is not known here.", "See: wardround datasite status")
        document = entry.get("public_encryption_bundle")
        keys = [PublicIdentity.parse(address, document)] if document else known
        self.state.audit.record(
            Kind.PEER_REMOVED, peer=address, fingerprint=keys[0].fingerprint if keys else "", by=_person()
        )
        revoked = [
            self.office.take_back(one, reason="The hospital no longer trusts the keys it knew.", by=_person())
            for one in (signed.decision for signed in self.state.current_decisions())
            if one.verdict == "approved" and address in self._researchers(one.study)
        ]
        with self.home.syft_tree():
            peers.forget(address)
        forget(self.state.audit, address)
        return [signed.decision for signed in revoked]

    def _researchers(self, study: str) -> set[str]:
        entries = self.state.audit.entries(study)
        return {str(entry.get("researcher")) for entry in entries if entry["kind"] == Kind.STUDY_RECEIVED}

    def cannot_follow(self) -> list[str]:
        """Peers whose release is too old to follow when keys are replaced here: they would have to accept this datasite
        anew, told by telephone."""
        peers, store = PinnedPeers(self.home.peers), Store(self.settings.store, self.settings.store_options)
        known = [peers.public(email) for email in peers.accepted()]
        return [one.email for one in known if one and protocol.of(store, one).most < protocol.SUCCESSIONS]

    def rotate_keys(self) -> Replaced:
        """Replaces this datasite's keys. Peers follow, as the old keys sign a statement that names the new ones; the
        audit log and all approvals stay good. The agent must not be running. Not for keys that were stolen.

        Raises Refused while an agent serves, and where the store shows that somebody else has the present keys.
        """
        from datasites.rotation import rotate

        with self.home.alone():
            replaced = rotate(
                self.home, self.identity, self.state.audit, Store(self.settings.store, self.settings.store_options)
            )
        self.identity = Identity.load(self.settings.email, self.home.keys)
        for made_with_the_old_ones in ("_client", "office", "reputation"):
            self.__dict__.pop(made_with_the_old_ones, None)
        return replaced

    # backup

    def backup(self, file: str | Path, passphrase: bytes, *, private: bool = False) -> int:
        """Saves this datasite in one sealed file, also while its agent serves; returns how many entries of the audit
        log are in it. private: with the tables' files and what studies left behind here. Raises InvalidInput."""
        from datasites.backup.save import save

        return save(self.home, self.identity, self.state, Path(file), passphrase, private)

    def look_outside(self) -> Outside:
        """Of a datasite that comes from a backup: what others know of the time since it was made."""
        from datasites.backup.confirm import look

        return look(self.home, self.identity, self.state, Store(self.settings.store, self.settings.store_options))

    def confirm_restore(self, seen: Outside) -> None:
        """Lets the agent serve again. seen: what `look_outside` has told. Where others know more than the backup,
        approvals are revoked, privacy budgets closed, and the audit log owns up to what it lost."""
        from datasites.backup.confirm import confirm

        def take_back(decision: Decision) -> None:
            self.office.take_back(decision, reason="The hospital was restored from a backup.", by=_person())

        with self.home.alone():
            store = Store(self.settings.store, self.settings.store_options)
            confirm(self.home, self.identity, self.state, store, seen, take_back)

    def reopen_budget(self, table: str) -> None:
        """Lets a table's budget be used again after a restored backup had closed it: its owner answers for what its
        policy says is left. Raises InvalidInput for one that is not closed."""
        if not self.state.ledger.closed(table):
            raise InvalidInput(f"The budget of {table} is not closed.", "There is nothing to open.")
        self.state.audit.record(Kind.BUDGET_REOPENED, dataset=table, by=_person())

    def researcher_keys(self, email: str) -> PublicIdentity:
        """The keys that someone who wants to connect has published. Raises InvalidInput if nobody does."""
        if email not in self._connection.get_peer_requests():
            raise InvalidInput(f"{email} has not asked to connect, or is a peer already.", "See the requests.")
        public = self._published(email)
        if public is None:
            raise InvalidInput(f"{email} has not published any keys yet.", "Ask them to connect again.")
        return public

    def next_peer_request(self, timeout: float = 600) -> str:
        """Waits until somebody wants to connect; returns the first one's address. Raises Unavailable at the end."""
        return self._wait(lambda: list(self.peer_requests()["researcher"]), timeout, "Nobody has asked to connect.")

    # policies

    def policy(self, dataset: str) -> Policy:
        """What may be done with a table, as it is in force: `standard` where none was set. A notebook reads it aloud.

        Raises InvalidInput when the policy's file is damaged; then nothing is allowed.
        """
        return PolicyBook(self.home).get(dataset)

    def set_policy(self, dataset: str, policy: str | Path) -> Policy:
        """Applies a policy to a table from now on, also to studies that are running. It is audited.

        policy: a TOML file, or the name of a ready one. Raises InvalidInput naming every problem, and then changes
        nothing.
        """
        book = PolicyBook(self.home)
        rules, text = book.read(dataset, policy)
        # first: no policy applies that is not on record
        self.state.audit.record(Kind.POLICY_SET, dataset=dataset, policy=rules.digest)
        book.put(dataset, text)
        return rules

    # studies

    def next_study(self, timeout: float = 600) -> str:
        """Waits until a study is there that is not decided; returns the first one's name."""
        return self._wait(self._undecided, timeout, "No study has arrived.")

    def studies(self) -> pd.DataFrame:
        """Every study submitted here, with the decision in force, and whether the policy in force allows it."""
        columns = ["study", "researcher", "purpose", "rounds", "decision", "policy", "digest"]
        return pd.DataFrame([self._row(submission) for submission in self.office.submissions()], columns=columns)

    def _row(self, one: Submission) -> tuple[str | int, ...]:
        m, ruling = one.manifest, self.office.enforcement.ruling(one.manifest, one.files)
        policy = "allows" if ruling.allowed else "damaged" if ruling.policy is None else "does not allow"
        return m.job_name, m.researcher, m.purpose, m.rounds, self._verdict(one.digest), policy, one.digest

    def packet(self, study: str) -> Packet:
        """What a study asks for, its code, and all that helps to decide. `study` is its name or the beginning of its
        digest. `Packet.html()` is a page that can be kept or handed on."""
        return self.office.packet(study)

    def approve(
        self, study: str, *, rounds: int | None = None, expires_at: datetime | None = None, reason: str = ""
    ) -> Decision:
        """Approves exactly the bytes that are there now. What is changed afterwards does not run.

        rounds: fewer than the study asks for, if you wish. expires_at: with time zone; if not given, the settings'
        `approval_days`, or fewer where the table's policy says so. Raises Refused, naming everything that the policy in
        force does not allow; who wants it anyway must change the policy.
        """
        return self.office.approve(
            study,
            rounds=rounds,
            expires_at=expires_at,
            days=self.settings.approval_days,
            by=_person(),
            reason=reason,
        ).decision

    def deny(self, study: str, *, reason: str) -> Decision:
        """Denies a study; the researcher reads the reason."""
        return self.office.deny(study, reason=reason, by=_person()).decision

    def revoke(self, study: str, *, reason: str) -> Decision:
        """Takes back an approval: a running round is stopped, and no further one starts."""
        return self.office.revoke(study, reason=reason, by=_person()).decision

    def buttons(self, study: str) -> Buttons:
        """To approve, narrow, deny or revoke a study by clicking, in a notebook. Each asks once more before anything is
        decided. Raises Unavailable where ipywidgets is not installed."""
        try:
            from datasites.buttons import Buttons
        except ModuleNotFoundError as missing:
            if missing.name != "ipywidgets":
                raise
            raise Unavailable("Buttons need ipywidgets.", "pip install 'wardround[notebooks]'") from None
        return Buttons(self, study)

    # what stays here

    def held(self) -> pd.DataFrame:
        """The results that the release gate held back, and why; nothing of them has left."""
        columns = ["name", "at", "study", "round", "task", "reason", "why", "bytes"]
        rows = [(h.name, h.at, h.study, h.round, h.task, h.reason, "; ".join(h.why), h.bytes) for h in self._held()]
        return pd.DataFrame(rows, columns=columns)

    def log(self, study: str) -> pd.DataFrame:
        """What a study's code printed here: `line` (from 1) and `text`. It may hold patients' data."""
        lines = excerpts.log_lines(self._log_of(self.office.find(study).digest))
        return pd.DataFrame({"line": range(1, len(lines) + 1), "text": lines})

    def draft_excerpt(self, study: str, first_line: int, last_line: int) -> Excerpt:
        """Lines of a study's log as its researcher would get them. Raises InvalidInput; nothing is sent by this."""
        digest, lines = self.office.find(study).digest, (first_line, last_line)
        return excerpts.draft(self._log_of(digest), self.state, digest, self.identity.email, lines, _person())

    def release_excerpt(self, excerpt: Excerpt) -> None:
        """Signs an excerpt; the agent sends it to the study's researcher, and to nobody else."""
        excerpts.release(excerpt, self.identity, self.state)

    def _held(self) -> list[HeldOutput]:
        return held_outputs(self.home.held)

    def _log_of(self, digest: str) -> Path:
        return self.home.study(digest) / STUDY_LOG

    # privacy

    def budget(self, table: str) -> TableBudget:
        """What studies have spent of the table's privacy budget, what is left, and what a plan would cost."""
        from datasites.ledger.view import TableBudget

        limits = PolicyBook(self.home).get(table).budget
        return TableBudget(table, limits, tuple(self.state.ledger.rows(table)), NumberCache(self.home.noise_cache))

    @property
    def audit(self) -> AuditTrail:
        """What happened here: to read, to hand on, and to verify as anybody would."""
        return AuditTrail(self.identity, self.state.audit)

    @cached_property
    def reputation(self) -> Reputation:
        """What researchers say of this hospital's part in their studies, and what it contests."""
        store = Store(self.settings.store, self.settings.store_options)
        return Reputation(
            self.identity, PinnedPeers(self.home.peers), store, self.state.audit, self.home.path / "reputation"
        )

    @cached_property
    def office(self) -> Office:
        """Decisions on what the agent has synced so far."""
        from syft_job import SyftJobConfig
        from syft_job.client import JobClient

        (self.home.syftbox / self.settings.email).mkdir(parents=True, exist_ok=True)
        config = SyftJobConfig(
            syftbox_folder=self.home.syftbox, current_user_email=self.settings.email, has_do_role=True
        )
        return Office(self.home, self.identity, JobClient.from_config(config), self.state)

    @cached_property
    def _client(self) -> Any:
        # Syft takes a second to import, so only what needs the store does
        from datasites.agent.recovery import open_client

        return open_client(self.home, self.settings)

    @property
    def _connection(self) -> Any:
        from datasites.wire.login import connection_of

        return connection_of(self._client)

    def _published(self, email: str) -> PublicIdentity | None:
        from datasites.wire.connection.directory import published_document

        document = published_document(self._connection, email)
        return PublicIdentity.parse(email, document) if document else None

    def _undecided(self) -> list[str]:
        return [submission.manifest.job_name for submission in self.office.pending()]

    @staticmethod
    def _wait(look: Callable[[], list[str]], timeout: float, nothing: str) -> str:
        until = time.monotonic() + timeout
        while True:
            if found := look():
                return found[0]
            if time.monotonic() > until:
                raise Unavailable(nothing, "Is the agent serving? See: wardround datasite status")
            time.sleep(0.5)

    def _verdict(self, digest: str) -> str:
        signed = self.state.decision(digest)
        return signed.decision.verdict if signed else "waiting"


def _person() -> str:
    """Who decides, for the record: the name of the account on this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
