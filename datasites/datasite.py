"""A hospital's datasite, for its data owner's notebook and for the command line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from datasites.acquaintances import Acquaintances
from datasites.approval import excerpts
from datasites.approval.packet import Packet
from datasites.approval.policy import PolicyBook
from datasites.approval.submissions import Submission
from datasites.audit.entry import Kind
from datasites.catalog.registry import RegisteredTable, Registry
from datasites.catalog.tables import TableSource
from datasites.heartbeat import alive, trouble
from datasites.home import STUDY_LOG, DatasiteHome
from datasites.keeping import Keeping
from datasites.opened import person
from datasites.release.held import HeldOutput, held_outputs
from datasites.settings import FILE, write_settings
from datasites.state import State
from datasites.wire.decision import Decision
from datasites.wire.dictionary import Dictionary
from datasites.wire.excerpt import Excerpt
from datasites.wire.identity import Identity, check_email
from datasites.wire.store import Store
from datasites.wire.store_options import beside
from policies.errors import Refused, Unavailable
from policies.policy import Policy
from policies.privacy.cache import NumberCache

if TYPE_CHECKING:
    from datasites.buttons import Buttons
    from datasites.ledger.view import TableBudget


class Datasite(Acquaintances, Keeping):
    """Opens the datasite in `home`. Use it beside a running agent; both heed each other at once.

    Raises InvalidInput when there is none, or its settings are wrong.
    """

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
            by=person(),
            reason=reason,
        ).decision

    def deny(self, study: str, *, reason: str) -> Decision:
        """Denies a study; the researcher reads the reason."""
        return self.office.deny(study, reason=reason, by=person()).decision

    def revoke(self, study: str, *, reason: str) -> Decision:
        """Takes back an approval: a running round is stopped, and no further one starts."""
        return self.office.revoke(study, reason=reason, by=person()).decision

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
        return excerpts.draft(self._log_of(digest), self.state, digest, self.identity.email, lines, person())

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

    def _undecided(self) -> list[str]:
        return [submission.manifest.job_name for submission in self.office.pending()]

    def _verdict(self, digest: str) -> str:
        signed = self.state.decision(digest)
        return signed.decision.verdict if signed else "waiting"
