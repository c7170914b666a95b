"""Images through the whole path: published, rehearsed, approved, trained on in the sandbox and by the hospital itself;
and not one of them anywhere outside."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import researcher as wr
from datasites.datasite import Datasite
from notebooks.demo.hospitals import local_federation
from notebooks.imaging import synthetic
from notebooks.imaging.private import network
from tests.support.federation import PATIENCE

FOLDER = Path(__file__).parents[2] / "notebooks" / "imaging"
ADA = "ada@uni.org"
PLANTED = hashlib.shake_256(b"one patient's image").digest(synthetic.SIZE**2)  # nothing compresses it

Connected = tuple[Path, dict[str, Datasite], wr.Federation]


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connected]:
    """Two, of which the first holds the planted image."""
    folder = tmp_path_factory.mktemp("images")
    files = {}
    for name, table in synthetic.generate(["riverside", "hillside"], 110, seed=0).items():
        table.at[0, "radiograph"] = PLANTED
        table.to_parquet(files.setdefault(name, folder / f"{name}.parquet"), index=False)
    with local_federation(folder / "run", files, FOLDER / "dictionary.toml") as local:
        sites = {one.label: Datasite(one.home) for one in local}
        federation = wr.connect(folder / "run" / "federation.toml", ADA, home=folder / "ada")
        for site in sites.values():
            site.next_peer_request(timeout=PATIENCE)
            site.trust(ADA, fingerprint=federation.fingerprint)
        federation.wait_for_hospitals(PATIENCE)
        federation.wait_for_datasets("chest_images", PATIENCE)
        yield folder, sites, federation
        for site in sites.values():
            site.state.close()


def _approved(connected: Connected, study: wr.Study | wr.PrivateStudy) -> tuple[wr.Submission, str]:
    """With what a data owner was told of it."""
    _, sites, federation = connected
    submission = federation.submit(study, federation.rehearse(study))
    for site in sites.values():
        site.next_study(timeout=PATIENCE)
        told = site.packet(submission.digest).summary
        site.approve(submission.digest)
    submission.wait(timeout=PATIENCE)
    return submission, told


def _study() -> wr.Study:
    return wr.Study(
        name="nodules",
        purpose="Test",
        code=FOLDER / "study",
        dataset="chest_images",
        columns=["radiograph", "nodule"],
        rounds=1,
        config={"seed": 0, "split_seed": 1},
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_network_is_trained_on_images_and_no_image_is_found_outside(hospitals: Connected) -> None:
    folder, _, federation = hospitals
    submission, told = _approved(hospitals, _study())
    assert "every pixel of 'radiograph': also a face, or a name burned into the image" in told
    result = wr.Rounds(submission, deadline=10 * PATIENCE).run()
    assert result.parameters["0.weight"].shape == (16, 1, 5, 5)
    assert result.per_hospital().between(0, 1).all()

    twins = [cell for dataset in federation.datasets("chest_images") for cell in dataset.twin["radiograph"]]
    assert len(twins) == 300
    real = {cell for file in folder.glob("*.parquet") for cell in pd.read_parquet(file)["radiograph"]}
    assert PLANTED in real
    assert real.isdisjoint(twins)
    marks = [PLANTED[100:160], base64.b64encode(PLANTED)[120:200]]
    outside = [*(folder / "run" / "store").rglob("*"), *(folder / "ada").rglob("*")]
    for path in filter(Path.is_file, outside):
        assert not any(mark in path.read_bytes() for mark in marks), path


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_hospitals_own_training_takes_convolutions_over_images(hospitals: Connected) -> None:
    folder, _, _ = hospitals
    study = wr.PrivateStudy(
        name="nodules-private",
        purpose="Test",
        dataset="chest_images",
        model=network(),
        inputs=["radiograph"],
        target="nodule",
        rounds=1,
        steps=2,
        sampling_rate=0.2,
        expected_lot=16,
        encounters=2,
        optimizer=wr.Optimizer(learning_rate=0.1),
        epsilon=3,
        home=folder / "ada",
    )
    submission, told = _approved(hospitals, study)
    assert "It is trained on every pixel of 'radiograph'; the noise covers all images of a patient together." in told
    before = {name: array.copy() for name, array in submission.journal.checkpoint().parameters.items()}
    result = wr.Rounds(submission, deadline=10 * PATIENCE).run()
    moved = [np.abs(result.parameters[name] - array).max() for name, array in before.items()]
    assert all(0 < one < 100 for one in moved)
