"""Publishing a registered table: its dictionary, a mock twin and a signed card, shown to approved peers.

Not one value, count or statistic of the table becomes public.
"""

from __future__ import annotations

import tempfile
import zlib
from pathlib import Path
from typing import Any

from datasites.catalog.twin import mock_twin
from datasites.wire.canonical import sha256
from datasites.wire.card import CARD_FILE, DICTIONARY_FILE, TWIN_FILE, Card, sign_card
from datasites.wire.dictionary import Dictionary
from datasites.wire.identity import Identity
from datasites.wire.images import as_text, image_columns, layout
from datasites.wire.quiet import quiet

TWIN_ROWS = 2000
_IMAGE_ROWS, _IMAGE_BYTES, _FEWEST_ROWS = 150, 32 * 1024 * 1024, 50  # noise, which a rehearsal trains on for long
_NOTE = "The real table is not kept in Syft's folders. The hospital's agent reads it where the hospital keeps it.\n"


def publish_twin(client: Any, identity: Identity, hospital: str, dictionary: Dictionary, seed: int | None) -> None:
    """Makes the twin of a registered table and shares it, as a Syft dataset, with every approved peer.

    Publishing again replaces what was there.
    """
    with tempfile.TemporaryDirectory() as scratch:
        public, note = Path(scratch) / "public", Path(scratch) / "where-the-data-is.txt"
        public.mkdir()
        note.write_text(_NOTE)
        # by default the hospitals' twins differ, as their tables do
        chosen = zlib.crc32(identity.email.encode()) if seed is None else seed
        twin = as_text(mock_twin(dictionary, _rows(dictionary), chosen), dictionary).to_csv(index=False).encode()
        card = Card(
            hospital=identity.email,
            hospital_name=hospital,
            dataset=dictionary.table.name,
            title=dictionary.table.title,
            dictionary=dictionary.digest,
            twin=sha256(twin),
        )
        (public / TWIN_FILE).write_bytes(twin)
        (public / DICTIONARY_FILE).write_text(dictionary.to_json())
        (public / CARD_FILE).write_text(sign_card(card, identity))
        with quiet():
            client.sync()
            if any(d.name == dictionary.table.name for d in client.dataset_manager.get_all(datasite=identity.email)):
                client.delete_dataset(dictionary.table.name, require_confirmation=False, sync=False)
            client.create_dataset(
                name=dictionary.table.name,
                mock_path=public,
                private_path=note,
                summary=dictionary.table.title,
                users="any",
            )


def _rows(dictionary: Dictionary) -> int:
    """Fewer where there are images, by their size: the twin is CSV, and whole in memory."""
    each = sum(layout(dictionary.columns[name]).nbytes for name in image_columns(dictionary))
    return min(_IMAGE_ROWS, max(_FEWEST_ROWS, _IMAGE_BYTES // each)) if each else TWIN_ROWS
