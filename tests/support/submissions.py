"""Studies as they lie in a datasite's Syft tree, put there by Syft's own client, without an agent or a store."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasites.catalog.registry import RegisteredTable, Registry
from datasites.catalog.tables import TableSource
from datasites.datasite import Datasite
from datasites.wire.dictionary import Dictionary
from datasites.wire.identity import Identity
from datasites.wire.manifest import MANIFEST_FILE, SIGNATURE_FILE, Manifest, describe_files, sign_manifest
from datasites.wire.outputs import ArraySpec, OutputContract
from tests.support.federation import DICTIONARY, POLICY, STUDY, stays

CODE = {path.name: path.read_bytes() for path in STUDY.iterdir() if path.is_file()}


def hospital(folder: Path, ada: Identity, email: str = "do@north.org") -> Datasite:
    """A datasite that knows Ada and has the table and a policy for it, without an agent."""
    datasite = Datasite.create(folder / "north", email, f"file://{folder}/store")
    datasite.office.peers.update(ada.email, "accepted", ada.public.document)
    stays(1, 20).to_csv(folder / "stays.csv", index=False)
    Registry(datasite.home.datasets).add(
        RegisteredTable(TableSource(path=folder / "stays.csv"), Dictionary.load(DICTIONARY))
    )
    datasite.set_policy("stays", POLICY)
    return datasite


def manifest(code: Mapping[str, bytes] = CODE, **changes: Any) -> Manifest:
    """What Ada asks for: the counting study, but for the changes."""
    dictionary = Dictionary.load(DICTIONARY)
    arrays = {"w": ArraySpec(shape=(4,), dtype="int64")}
    fields = {
        "name": "demo",
        "purpose": "Test",
        "researcher": "ada@uni.org",
        "dataset": "stays",
        "dictionary": dictionary.digest,
        "columns": tuple(dictionary.columns),
        "files": describe_files(code),
        "config": {},
        "rounds": 3,
        "seconds_per_round": 3600,
        "outputs": OutputContract(parameters=arrays, fit_metrics=(), evaluate_metrics=(), evaluate_arrays={}),
    }
    return Manifest.model_validate({**fields, **changes})


def deliver(site: Datasite, asked: Manifest, ada: Identity, code: Mapping[str, bytes] = CODE, **extra: bytes) -> Path:
    """Puts a study where Syft's sync puts it, by Syft's own client on the researcher's side of a tree."""
    from syft_job import SyftJobConfig
    from syft_job.client import JobClient

    package = site.home.path / f"package-{len(list(site.home.path.glob('package-*')))}"
    files = {**code, MANIFEST_FILE: asked.canonical(), SIGNATURE_FILE: sign_manifest(asked, ada).encode()}
    for path, data in {**files, **extra}.items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_bytes(data)
    config = SyftJobConfig(syftbox_folder=site.home.syftbox, current_user_email="ada@uni.org", has_do_role=False)
    client = JobClient.from_config(config)
    with warnings.catch_warnings(action="ignore"):  # it has not met this datasite's Syft version
        folder = client.submit_python_job("do@north.org", str(package), job_name=asked.job_name, entrypoint="study.py")
    return Path(folder)
