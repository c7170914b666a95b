"""The readmission study as its notebook tells it: what data owners do while the researcher's notebook runs."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

from compose.containers import ContainersFailed
from compose.e2e.parties import Owner, Researcher
from compose.provision import RESEARCHER_EMAIL

_PATIENCE_SECONDS = 600.0
_REASON = "The longest stay is one patient's own number."


def tell(owners: Sequence[Owner], researcher: Researcher, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Executes the notebook; owners accept the researcher, approve the first study, and deny the curious second one.

    meanwhile: what happens to the federation once the first study is approved by all.
    Raises ContainersFailed with the end of the notebook's output where something does not come about.
    """
    notebook = researcher.execute()
    try:
        for owner in owners:  # by the fingerprint they see; a person would have it by telephone
            peer = _wait(owner, notebook, lambda found: found["peers"], "the researcher does not ask to connect")
            owner.command("trust", RESEARCHER_EMAIL, "--fingerprint", peer["fingerprint"])
        for owner in owners:
            study = _wait(owner, notebook, _undecided, "the study did not arrive")
            owner.command("approve", study["digest"], "--reason", "Read by the data office.")
        meanwhile()
        for owner in owners:
            study = _wait(owner, notebook, _undecided, "the changed study did not arrive")
            owner.command("deny", study["digest"], "--reason", _REASON)
        said, _ = notebook.communicate(timeout=_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        raise ContainersFailed("The researcher's notebook does not end.") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            notebook.kill()
    if notebook.returncode:
        raise ContainersFailed(f"The researcher's notebook failed:\n{said[-3000:]}")


def _undecided(found: dict[str, Any]) -> list[Any]:
    return [study for study in found["studies"] if study["decision"] == "waiting"]


def _wait(
    owner: Owner, notebook: subprocess.Popen[str], look: Callable[[dict[str, Any]], list[Any]], otherwise: str
) -> dict[str, Any]:
    until = time.monotonic() + _PATIENCE_SECONDS
    while not (found := look(json.loads(owner.command("requests", "--json")))):
        if notebook.poll() is not None:
            raise ContainersFailed(
                f"The notebook ended, and {otherwise} at {owner.label}:\n{notebook.communicate()[0]}"
            )
        if time.monotonic() > until:
            raise ContainersFailed(f"{owner.label}: {otherwise}.")
        time.sleep(1)
    return dict(found[0])
