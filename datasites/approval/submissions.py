"""Studies that researchers have submitted, as Syft jobs in this datasite's inbox, verified anew at every look."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from datasites.wire.identity import check_email
from datasites.wire.limits import SUBMISSION_FILES
from datasites.wire.manifest import MANIFEST_FILE, SIGNATURE_FILE, Manifest, code_problems, verify_manifest
from datasites.wire.peers import PinnedPeers
from policies.errors import InvalidInput, WardroundError


@dataclass(frozen=True)
class Submission:
    """A verified study: every byte is what the manifest names, and the researcher signed the manifest."""

    manifest: Manifest
    signature: str
    files: dict[str, bytes]
    job: Any  # Syft's JobInfo

    @property
    def digest(self) -> str:
        return self.manifest.digest


@dataclass(frozen=True)
class BadSubmission:
    """A job that is no study that could be approved; `why` may be told to its sender."""

    why: str
    job: Any


def read_submission(job: Any, peers: PinnedPeers) -> Submission | BadSubmission:
    """What the job holds. The researcher is whoever's box it came from, never what it says."""
    try:
        files = _code(Path(job.code_dir))
        data, signature = files.pop(MANIFEST_FILE), files.pop(SIGNATURE_FILE).decode()
        manifest = verify_manifest(data, signature, peers.require(check_email(job.submitted_by)))
    except KeyError:
        return BadSubmission("It has no signed manifest: submit it with Wardround's Study.submit.", job)
    except ValidationError:
        return BadSubmission("Its manifest is not valid.", job)
    except (ValueError, WardroundError) as error:
        return BadSubmission(f"Its manifest cannot be trusted: {error}.", job)
    problems = code_problems(manifest, files)
    if job.name != manifest.job_name:
        problems.append("the job has another name than the study")
    if problems:
        return BadSubmission(f"Its files are not what the manifest says: {'; '.join(problems)}.", job)
    return Submission(manifest, signature, files, job)


def _code(folder: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise ValueError("it holds a symbolic link")
        if path.is_file():
            files[path.relative_to(folder).as_posix()] = path.read_bytes()
        if len(files) > SUBMISSION_FILES:
            raise ValueError("it holds too many files")
    return files


def find(submissions: list[Submission], study: str) -> Submission:
    """The one whose name, or whose digest's beginning (at least 8 characters), is `study`."""
    wanted = study.strip()
    hits = [
        s
        for s in submissions
        if wanted in (s.manifest.job_name, s.manifest.name) or (len(wanted) >= 8 and s.digest.startswith(wanted))
    ]
    if len({s.digest for s in hits}) == 1:
        return hits[0]
    if hits:
        names = ", ".join(s.manifest.job_name for s in hits)
        raise InvalidInput(f"{study!r} stands for several studies: {names}.", "Give the longer name.")
    raise InvalidInput(f"There is no study {study!r} here.", "List them with: wardround datasite requests")


def decision_document(signed: Any) -> str:
    """What the researcher gets to read beside Syft's job state."""
    return json.dumps(signed.model_dump(mode="json"), indent=1, sort_keys=True)
