"""The hospitals that a researcher works with."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from datasites.wire import successions
from datasites.wire.home import Home
from datasites.wire.identity import Identity, check_email, is_sealed
from datasites.wire.login import connection_of, login
from datasites.wire.manifest import MANIFEST_FILE, Manifest
from datasites.wire.noted import finish_interrupted_fetch
from datasites.wire.passphrase import passphrase
from datasites.wire.peers import PinnedPeers
from datasites.wire.quiet import quiet
from datasites.wire.shown import Shown, heading, star, table
from datasites.wire.store import Store
from datasites.wire.successions import KeysForked
from policies.errors import InvalidInput, Unavailable
from researcher.dataset import Dataset
from researcher.federation_file import FederationFile, Hospital
from researcher.hospital_keys import follow
from researcher.named_together import networked, secured
from researcher.progress import bar
from researcher.rehearsal import Rehearsal, rehearse
from researcher.study import Study
from researcher.submission import Submission, as_first_rehearsed, patient
from researcher.witness import Witness

if TYPE_CHECKING:
    from researcher.named_together import AnyStudy


def connect(
    federation: str | Path, email: str, home: str | Path | None = None, store_options: Mapping[str, Any] | None = None
) -> Federation:
    """Connects to the hospitals named in a federation file (TOML), making keys at the first call.

    home: a private folder for keys, pins and studies; `~/.wardround/EMAIL` when left out.
    store_options: added to those of the file; there `keys_file` and `ca_file` are looked for beside the file itself.
    Asks each hospital to accept this researcher as a peer; `Federation.hospitals()` shows who has.
    """
    file = FederationFile.read(Path(federation))
    address, options = check_email(email), {**file.store_options, **(store_options or {})}
    folder = Home(Path(home) if home else Path.home() / ".wardround" / address)
    folder.create()
    if not folder.keys.exists():
        Identity.create(address, folder.keys)
    finish_interrupted_fetch(folder)
    return Federation(file.name, address, folder, file.store, options, list(file.hospitals))


class Federation(Shown):
    """Made by `connect`. Everything that reaches a hospital goes through Syft, signed and encrypted."""

    def __init__(
        self,
        name: str,
        email: str,
        home: Home,
        store: str,
        options: dict[str, Any],
        hospitals: list[Hospital],
    ) -> None:
        self.name = name
        self.email = email
        self.home = home
        self._hospitals = hospitals
        self._address, self._options = store, options
        self._heeded: dict[str, int] = {}  # statements by which each hospital replaced its keys
        self._log_in()
        self.sync()

    def _log_in(self) -> None:
        expected = {h.email: h.fingerprint for h in self._hospitals if h.fingerprint}
        self.client = login(self.email, self.home, self._address, "researcher", self._options, expected)
        self.identity = Identity.load(self.email, self.home.keys)
        self.peers = PinnedPeers(self.home.peers, expected)
        self.store: Store = connection_of(self.client).store
        self._witness = Witness(self.email, self.home, self.store)
        with quiet():
            for hospital in self._hospitals:
                self.client.add_peer(hospital.email, verbose=False, sync=False)
        self._follow()

    @property
    def emails(self) -> list[str]:
        """The hospitals' addresses."""
        return [hospital.email for hospital in self._hospitals]

    @property
    def fingerprint(self) -> str:
        """Of this researcher's own keys: data owners ask for it before they accept."""
        return self.identity.public.fingerprint

    def sync(self) -> None:
        """Fetches what hospitals have published and decided."""
        known = self._statements()
        with quiet():
            self.client.sync()
            if self._statements() != known:  # a hospital has replaced its keys: what it says since can be read now
                self.client.sync()
        known, self._heeded = self._heeded, self._statements()
        # what was on its way to keys that a hospital has replaced, it does not read any more
        self._send_undecided([hospital for hospital, count in self._heeded.items() if count != known[hospital]])

    def rotate_keys(self) -> str:
        """Replaces this researcher's keys; returns the new fingerprint. Hospitals follow by themselves, as the old keys
        sign a statement that names the new ones; approvals stay good. Not for keys that were stolen.

        What hospitals have not decided on yet is sent again. Raises Refused where somebody else has the present keys.
        """
        successions.publish(self.store, self.identity)
        secret = passphrase(self.home.keys) if is_sealed(self.home.keys) else None
        self.sync()  # what was sealed for the present keys
        successions.succeed(self.identity).save(self.home.keys, secret)
        self._log_in()
        self.sync()
        self._send_undecided(self.emails)
        return self.fingerprint

    def key_changes(self) -> pd.DataFrame:
        """One row for each time that a hospital has replaced its keys, as its own statements say."""
        rows = [
            {
                "hospital": hospital.label,
                "at": one.succession.at,
                "before": one.old.fingerprint,
                "fingerprint": one.new.fingerprint,
            }
            for hospital in self._hospitals
            for one in self.peers.chain(hospital.email)
        ]
        return pd.DataFrame(rows, columns=["hospital", "at", "before", "fingerprint"])

    def _statements(self) -> dict[str, int]:
        return {hospital: len(self.peers.chain(hospital)) for hospital in self.emails}

    def _follow(self) -> None:
        self._heeded = self._statements()
        for hospital in self.emails:
            with contextlib.suppress(KeysForked):  # told when something is asked of it
                follow(self.peers, self.store, hospital)

    def _send_undecided(self, hospitals: list[str]) -> None:
        for path in sorted((self.home.path / "studies").glob(f"*/{MANIFEST_FILE}")) if hospitals else ():
            study = Submission(self, Manifest.model_validate_json(path.read_bytes()), path.parent)
            study.send([hospital for hospital in hospitals if study.sent_to(hospital)])

    def label(self, email: str) -> str:
        """The short name of a hospital."""
        return next((h.label for h in self._hospitals if h.email == email), email)

    def hospitals(self) -> pd.DataFrame:
        """One row per hospital: whether it has accepted this researcher, its fingerprint and its datasets."""
        self.sync()
        return self._known()

    def _known(self) -> pd.DataFrame:
        """As last synced."""
        shown: dict[str, list[str]] = {}
        for dataset in self._read_datasets():
            shown.setdefault(dataset.hospital, []).append(dataset.name)
        rows = []
        for hospital in self._hospitals:
            public = self.peers.public(hospital.email)
            rows.append(
                {
                    "hospital": hospital.label,
                    "email": hospital.email,
                    "accepted": hospital.email in self.peers.accepted(),
                    "datasets": ", ".join(sorted(shown.get(hospital.email, []))),
                    "fingerprint": public.fingerprint if public else "",
                }
            )
        return pd.DataFrame(rows)

    def _facts(self) -> dict[str, object]:
        known = self._known()
        accepted = f"{known['accepted'].sum()} of {len(known)} hospitals"
        return {"name": self.name, "you": self.email, "your fingerprint": self.fingerprint, "accepted by": accepted}

    def _repr_html_(self) -> str:
        known = self._known()
        rows = [
            (one.hospital, "yes" if one.accepted else "not yet", one.datasets, one.fingerprint)
            for one in known.itertuples()
        ]
        drawn = star("you", dict(zip(known["hospital"], known["accepted"], strict=True)))
        listed = table(["hospital", "has accepted you", "datasets", "fingerprint"], rows)
        return heading(f"Federation {self.name}", f"your fingerprint {self.fingerprint}") + drawn + listed

    def wait_for_hospitals(self, timeout: float = 600) -> None:
        """Waits until every hospital has accepted this researcher. Raises Unavailable, naming those that have not."""
        self._wait(
            "hospitals that accept you",
            lambda: [h for h in self._hospitals if h.email not in self.peers.accepted()],
            timeout,
        )

    def wait_for_datasets(self, name: str, timeout: float = 600) -> list[Dataset]:
        """Waits until every hospital shows the dataset `name`."""

        def missing() -> list[Hospital]:
            showing = {d.hospital for d in self._read_datasets() if d.name == name}
            return [h for h in self._hospitals if h.email not in showing]

        self._wait(f"hospitals that show {name}", missing, timeout)
        return self.datasets(name)

    def datasets(self, name: str | None = None) -> list[Dataset]:
        """Published datasets, each checked against its hospital's signature; all, or those called `name`."""
        self.sync()
        return [d for d in self._read_datasets() if name in (None, d.name)]

    def witness(self) -> pd.DataFrame:
        """One row per hospital: whether its audit log continues what it showed before. Looks now, and remembers.

        `verdict`: consistent; rewritten (it has signed two histories: ask its data owner); restored (it says that
        entries which were seen are lost, as a backup was put back); unproven (its newer heads do not prove that they
        continue the last one seen); nothing (it has shown no head yet). See `researcher.witness`.
        """
        rows = []
        for hospital in self._hospitals:
            public = self.peers.public(hospital.email)
            seen = self._witness.look(public) if public else self._witness.memory(hospital.email)
            head = seen.heads[-1].head if seen.heads else None
            about = {"hospital": hospital.label, "email": hospital.email, "verdict": seen.verdict.value}
            rows.append({**about, "entries": head.size if head else 0, "at": head.at if head else pd.NaT})
        return pd.DataFrame(rows)

    def rehearse(self, study: AnyStudy) -> Rehearsal:
        """Runs the study on the hospitals' mock twins, on this machine. See `researcher.rehearsal`."""
        datasets = self.datasets(study.dataset)
        if isinstance(study, Study):
            return rehearse(study, datasets)
        from researcher.private_rehearsal import rehearse_private

        return rehearse_private(study, datasets)

    def submit(self, study: AnyStudy, rehearsal: Rehearsal) -> Submission:
        """Sends the study to every hospital that shows the dataset, for its data owner's approval.

        Submitting the same study again is harmless; to have it run once more, raise its `repetition`. Raises
        InvalidInput when it changed since the rehearsal, or when the hospitals' dictionaries differ.
        """
        datasets = self.datasets(study.dataset)
        if not datasets:
            raise InvalidInput(f"No hospital shows a dataset {study.dataset!r}.")
        if len({d.dictionary.digest for d in datasets}) > 1:
            raise InvalidInput(
                f"The hospitals' dictionaries of {study.dataset!r} differ.",
                "Agree on one, or submit to fewer hospitals.",
            )
        if rehearsal.fingerprint != study.fingerprint(datasets[0].dictionary):
            raise InvalidInput("The study or the dataset has changed since its rehearsal.", "Rehearse it again.")
        manifest = study.manifest(self.email, datasets[0].dictionary, rehearsal.contract, rehearsal.report)
        hospitals = {d.hospital: self.peers.require(d.hospital).fingerprint for d in datasets}
        manifest = networked(secured(manifest, study, hospitals), study, hospitals, self.label)
        manifest = as_first_rehearsed(self.home.path / "studies", manifest)
        submission = Submission.create(self, manifest, study.files(), rehearsal.initial)
        submission.send([d.hospital for d in datasets])
        return submission

    def submission(self, study: str) -> Submission:
        """A study submitted earlier, by name or by the beginning of its digest, to go on with it after a restart."""
        return Submission.reopen(self, study)

    def _read_datasets(self) -> list[Dataset]:
        found = []
        for hospital in self._hospitals:
            public = self.peers.public(hospital.email)
            root = self.home.syftbox / hospital.email / "public" / "syft_datasets"
            if public is None or not root.is_dir():
                continue
            for folder in sorted(root.iterdir()):
                if (folder / "card.json").is_file():
                    found.append(Dataset.open(folder, public))
        return found

    def _wait(self, what: str, missing: Callable[[], list[Hospital]], timeout: float) -> None:
        until, total, pace = time.monotonic() + timeout, len(self._hospitals), patient(self.store)
        with bar(what, total) as advance_to:
            while True:
                try:
                    self.sync()
                except Unavailable:
                    if time.monotonic() > until:
                        raise
                left = missing()
                advance_to(total - len(left), "")
                if not left:
                    return
                if time.monotonic() > until:
                    names = ", ".join(h.label for h in left)
                    raise Unavailable(f"Still waiting for {names}.", "Ask their data owners.")
                time.sleep(pace.wait())
