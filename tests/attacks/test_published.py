"""What lies in the store in clear: mock twins and their dictionaries. Whoever runs the store can change all of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from syft.sync.sync.collection_spec import CollectionSyncSpec
from syft_rds.config import DATASET_COLLECTION_SPECS

from datasites.catalog.publish import publish_twin
from datasites.wire import keys
from datasites.wire.dictionary import Dictionary
from datasites.wire.quiet import quiet
from policies.errors import Refused
from researcher.dataset import Dataset
from tests.attacks.world import OWNER, SECRET, ZOE, Ward

STAYS = """
[table]
name = "stays"
title = "Stays"
description = "One row per stay."
patient_key = "patient_id"
target = "readmitted"

[columns.age]
type = "number"
description = "Age."
range = [0, 120]

[columns.readmitted]
type = "boolean"
description = "Back within 30 days."
"""


def _publish(ward: Ward) -> Path:
    """Where zoe finds the dataset once she has synced."""
    with quiet():
        publish_twin(ward.owner.client, ward.owner.identity, "Ward", Dictionary.from_toml(STAYS), seed=0)
    return ward.zoe.home.syftbox / OWNER / "public" / "syft_datasets" / "stays"


def _collection(ward: Ward) -> str:
    """The collection's folder in the store."""
    [name] = ward.owner.store.folders(keys.collections(OWNER))
    return f"{keys.collections(OWNER)}/{name}"


def _open(ward: Ward, folder: Path) -> Dataset:
    return Dataset.open(folder, ward.zoe.connection.peers.require(OWNER))


@pytest.mark.check
def test_an_untouched_dataset_opens(ward: Ward) -> None:
    folder = _publish(ward)
    ward.zoe.sync()
    assert _open(ward, folder).twin.columns.tolist() == ["patient_id", "age", "readmitted"]


@pytest.mark.parametrize("file", ["twin.csv", "dictionary.json", "card.json"])
def test_a_dataset_changed_in_the_store_is_not_opened(ward: Ward, file: str) -> None:
    folder = _publish(ward)
    key = f"{_collection(ward)}/data/{file}"
    good = ward.owner.store.get(key) or b""
    ward.owner.store.put(
        key, good.replace(b"age", b"aged", 1) if file != "card.json" else good.replace(b"Ward", b"Bard")
    )
    ward.zoe.sync()
    assert (folder / file).read_bytes() != good  # Syft hands it on as it lies in the store
    with pytest.raises(Refused, match=r"changed after|not signed"):
        _open(ward, folder)


def test_another_hospitals_card_is_not_opened(ward: Ward) -> None:
    folder = _publish(ward)
    ward.zoe.sync()
    with pytest.raises(Refused, match="not signed"):
        Dataset.open(folder, ward.eve.identity.public)


def test_a_twin_with_a_slash_in_its_name_is_not_written(ward: Ward) -> None:
    _publish(ward)
    name = keys.encode("../../../../victim@ward.org/public/planted.csv")
    ward.owner.store.put(f"{_collection(ward)}/data/{name}", b"FORGED")
    ward.zoe.sync()
    planted = ward.zoe.home.syftbox / "victim@ward.org" / "public" / "planted.csv"
    assert planted.exists() is not ward.ours


@pytest.mark.parametrize("spec", DATASET_COLLECTION_SPECS, ids=["public", "private"])
def test_the_store_plants_nothing_in_the_hospitals_own_folders(ward: Ward, spec: CollectionSyncSpec) -> None:
    folder = f"{keys.collections(OWNER)}/{keys.encode(f'{spec.prefix}_planted_0')}"
    meta = {"prefix": spec.prefix, "tag": "planted", "content_hash": "0"}
    ward.owner.store.put(f"{folder}/.collection.json", json.dumps(meta).encode())
    ward.owner.store.put(f"{folder}/data/syft.pub.yaml", b"rules: []")
    ward.join(OWNER, "owner").sync()  # as after a restart
    planted = ward.owner.tree / spec.local_subpath / "planted" / "syft.pub.yaml"
    assert planted.exists() is not ward.ours


def test_private_data_is_never_uploaded(ward: Ward) -> None:
    mock, private = ward.folder / "mock.csv", ward.folder / "private.csv"
    mock.write_text("a\n0\n")
    private.write_text(f"a\n{SECRET}\n")

    def upload() -> None:
        with quiet():
            ward.owner.client.create_dataset(
                name="rows", mock_path=mock, private_path=private, users=[ZOE], upload_private=True
            )

    if ward.ours:
        with pytest.raises(Refused, match="never uploaded"):
            upload()
    else:
        upload()
    stored = [ward.owner.store.get(name) or b"" for name in ward.owner.store.names(keys.collections(OWNER))]
    assert any(SECRET.encode() in data for data in stored) is not ward.ours
