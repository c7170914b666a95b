"""The approved bytes of a study, in a private place named by their digest. Only these ever run."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from datasites.wire.files import private_folder, sync_folder, write_atomically
from datasites.wire.identity import PublicIdentity
from datasites.wire.manifest import MANIFEST_FILE, SIGNATURE_FILE, Manifest, code_problems, verify_manifest
from policies.errors import Refused

_CODE = "code"


class Vault:
    """A folder with one subfolder for each approved study; a subfolder appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = private_folder(folder)

    def keep(self, manifest: Manifest, signature: str, files: dict[str, bytes]) -> None:
        """Raises Refused when the files are not what the manifest names. Keeping the same study twice is harmless."""
        if problems := code_problems(manifest, files):
            raise Refused(f"The study's files have changed: {'; '.join(problems)}.")
        target = self.folder / manifest.digest
        if target.exists():
            return
        draft = Path(tempfile.mkdtemp(dir=self.folder, prefix=".draft-"))
        try:
            write_atomically(draft / MANIFEST_FILE, manifest.canonical())
            write_atomically(draft / SIGNATURE_FILE, signature.encode())
            for path, data in files.items():
                write_atomically(draft / _CODE / path, data)
            os.rename(draft, target)
            sync_folder(self.folder)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            if not target.exists():  # another process may have kept the same study just now
                raise

    def manifest(self, digest: str, researcher: PublicIdentity | None = None) -> Manifest:
        """The manifest as approved; with `researcher`, its signature is checked too. Raises Refused."""
        folder = self.folder / digest
        try:
            data = (folder / MANIFEST_FILE).read_bytes()
            if researcher:
                signature = (folder / SIGNATURE_FILE).read_text()
                manifest = verify_manifest(data, signature, researcher)
            else:
                manifest = Manifest.model_validate_json(data)
        except (OSError, ValueError):
            raise Refused(
                f"The approved copy of study {digest[:12]} is missing or damaged.", "Approve it again."
            ) from None
        if manifest.digest != digest:
            raise Refused(f"The approved copy of study {digest[:12]} was changed on this disk.", "Find out by whom.")
        return manifest

    def code(self, digest: str) -> Path:
        """The folder to run, after every byte was compared with the manifest once more. Raises Refused."""
        self.files(digest)
        return self.folder / digest / _CODE

    def files(self, digest: str) -> dict[str, bytes]:
        """The approved bytes by path, compared with the manifest. Raises Refused."""
        manifest, folder = self.manifest(digest), self.folder / digest / _CODE
        files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        if problems := code_problems(manifest, files):
            raise Refused(f"The approved copy of study {digest[:12]} was changed on this disk: {'; '.join(problems)}.")
        return files
