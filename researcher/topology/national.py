"""A nation over regional aggregators: each region is one participant, and what is behind it is its own.

To the nation an aggregator is what a hospital is to a researcher: messages lie in its box, sealed for it alone, and it
answers with arrays held to the study's contract. So `Rounds` runs the nation's rounds as it runs any.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from datasites.wire import keys
from datasites.wire.arrays import Arrays, pack, unpack
from datasites.wire.contract import array_problems
from datasites.wire.files import write_atomically
from datasites.wire.home import Home
from datasites.wire.identity import Identity, PublicIdentity, check_email, same_fingerprint
from datasites.wire.limits import PUBLIC_BYTES, ROUND_BYTES
from datasites.wire.manifest import Manifest
from datasites.wire.peers import ACCEPTED, PinnedPeers
from datasites.wire.shown import Shown
from datasites.wire.store import Store
from policies.errors import InvalidInput, Refused
from researcher.exchange import Exchange, StoreExchange
from researcher.journal import Journal
from researcher.metrics import SCORE_HISTOGRAM
from researcher.participation import stage_of


def national(manifest: Manifest, nation: str) -> Manifest:
    """The study as the nation and all of its regions know it: the same but for whom it answers to. Raises InvalidInput
    for a study whose answers cannot be added up."""
    outputs = manifest.outputs
    if manifest.statistics is not None or outputs.evaluate_arrays.keys() - {SCORE_HISTOGRAM}:
        raise InvalidInput("A region can add up models and score histograms only.", "Use Hierarchical.")
    if manifest.tier == "private" and outputs.evaluate_arrays:
        raise InvalidInput(
            "The noise in a region's added histograms would be taken for that of one hospital.",
            "Leave the evaluation out, or use Hierarchical.",
        )
    plain = {"outputs": outputs.model_copy(update={"compression": ""}), "state_compression": ""}  # between aggregators
    return manifest.model_copy(update={"researcher": nation, "rehearsal": None, **plain})


def write_study(path: Path, manifest: Manifest, initial: Arrays) -> None:
    """The national study and its first state, as a file for the nation."""
    write_atomically(path, pack({"manifest": manifest.model_dump(mode="json")}, initial))


def published(store: Store, email: str, fingerprint: str) -> PublicIdentity:
    """Keys that a participant has published, if they are those agreed on. Raises Refused, or InvalidInput for none."""
    raw = store.get(f"{keys.participant(email)}/bundle.json", PUBLIC_BYTES)
    if raw is None:
        raise InvalidInput(f"{email} has published no keys in this store.", "Ask them to connect to it first.")
    try:
        public = PublicIdentity.parse(email, json.loads(raw))
    except (ValueError, RecursionError):
        raise Refused(f"The public keys published for {email} are not valid.") from None
    if not same_fingerprint(public.fingerprint, fingerprint):
        raise Refused(
            f"{email} shows keys with fingerprint {public.fingerprint}, not {fingerprint}.", "Telephone them first."
        )
    return public


class Nation(Shown):
    """A study at regions; `Rounds` takes it as it takes a `Submission`.

    study: the file that `RegionalAggregator.write_study` made in one of the regions. regions: address and fingerprint
    of each region's aggregator, by the region's name. store: the one that the regions use. home: a private folder for
    keys and the study's journal, `~/.wardround/EMAIL` when left out.
    """

    def __init__(
        self,
        study: str | Path,
        email: str,
        store: str,
        regions: Mapping[str, tuple[str, str]],
        home: str | Path | None = None,
        store_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.manifest, initial = _read(Path(study))
        email = check_email(email)
        if self.manifest.researcher != email:
            raise InvalidInput(f"{study} was made for {self.manifest.researcher}, not for {email}.")
        folder = Home(Path(home) if home else Path.home() / ".wardround" / email)
        folder.create()
        exists = folder.keys.exists()
        self._identity = Identity.load(email, folder.keys) if exists else Identity.create(email, folder.keys)
        self._store = Store(store, store_options)
        body = json.dumps(self._identity.public.document, sort_keys=True).encode()
        self._store.put(f"{keys.participant(email)}/bundle.json", body)
        self.journal = Journal(folder.path / "nation" / self.manifest.digest)
        self.journal.start(initial)
        self._regions = {check_email(address): name for name, (address, _) in regions.items()}
        self._peers = PinnedPeers(self.journal.folder / "regions.json")
        for address, fingerprint in regions.values():
            public = published(self._store, check_email(address), fingerprint)
            self._peers.update(public.email, ACCEPTED, public.document)

    def _facts(self) -> dict[str, object]:
        return {**stage_of(self), "regions": ", ".join(self._regions.values()), "fingerprint": self.fingerprint}

    @property
    def fingerprint(self) -> str:
        """Of the nation's own keys: aggregators ask for it."""
        return self._identity.public.fingerprint

    def participants(self) -> list[str]:
        """All regions: which hospitals take part is a region's own affair."""
        return sorted(self._regions)

    def noise(self) -> list[str]:
        """What hospitals said of gate noise stays in their regions."""
        return []

    def joined(self) -> list[str]:
        """See `ApprovedStudy.joined`."""
        return []

    def label(self, hospital: str) -> str:
        """A short name to show."""
        return self._regions.get(hospital, hospital)

    def exchange(self) -> Exchange:
        """The way to the regions' aggregators."""
        return StoreExchange(self.manifest, self._identity, self._peers, self._store, self.journal.spool)


def _read(path: Path) -> tuple[Manifest, Arrays]:
    try:
        header, initial = unpack(path.read_bytes(), ROUND_BYTES)
        manifest = Manifest.model_validate_json(json.dumps(header["manifest"]))
    except (OSError, KeyError, InvalidInput, ValidationError):
        raise InvalidInput(f"{path} is not a study for a nation.", "Ask a region for the file again.") from None
    if problems := array_problems(initial, manifest.outputs.parameters):
        raise InvalidInput(f"The first state in {path} does not fit its study: {'; '.join(problems)}.")
    return manifest, initial
