"""Both notebooks, executed from top to bottom side by side against the running demo, as their readers would."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
import pytest
from safetensors.numpy import load_file

from datasites.datasite import Datasite
from tests.support.federation import wait_for
from tests.support.notebooks import FOLDER, executed, finished, outputs, running_federation, shown, start
from tests.support.terminal import PATIENCE, project
from tests.support.tutorials import RESEARCHER, steps, walk_as_researcher

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def running_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with running_federation(tmp_path_factory.mktemp("demo")) as demo:
        yield demo


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_study_from_both_sides(running_demo: Path) -> None:
    names = ("researcher.ipynb", "data_owner.ipynb")
    running = {name: start(name, running_demo) for name in names}
    researcher_saw, owner_saw = (finished(name, process, running_demo) for name, process in running.items())
    assert "after 8 rounds" in shown(researcher_saw)
    assert any("image/png" in o.get("data", {}) for c in researcher_saw.cells for o in c.get("outputs", []))
    assert "approved" in shown(owner_saw)
    assert shown(owner_saw).count("released") >= 8
    assert "The metric 'longest_stay' is not among those that may leave." in shown(owner_saw)
    pages = "".join(str(html) for html in outputs(owner_saw, "text/html"))
    told = ("A table with fewer than 50 patients takes part in no study.", "What the policy says", "+        ")
    for part in (*told, "Revoked at", "Everything fits."):
        assert part in pages
    assert len(outputs(owner_saw, "application/vnd.jupyter.widget-view+json")) == 1  # the buttons
    assert any("3 of 3 are linked with you" in str(html) for html in outputs(researcher_saw, "text/html"))
    assert "The longest stay is one patient's own number." in shown(researcher_saw)
    assert load_file(running_demo / "model.safetensors")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_private_study(running_demo: Path) -> None:
    saw = shown(executed("private.ipynb", running_demo))
    assert "No code of theirs runs" in saw
    assert "AUC 0." in saw
    assert saw.count("committed") == 4  # three rounds and an evaluation were paid for


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_minutes_as_a_researcher(running_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project(tmp_path))
    (tmp_path / "demo-run").symlink_to(running_demo)
    found = walk_as_researcher(tmp_path, running_demo)
    assert found["result"].round == 8
    assert found["result"].federated_auc > 0.65
    assert load_file(tmp_path / "model.safetensors")
    consistent = lambda: (found["federation"].witness()["verdict"] == "consistent").all()  # noqa: E731
    wait_for(consistent, "signed heads of all logs", PATIENCE)
    quoted = re.findall(r"(?m)^> (.*)$", RESEARCHER.read_text())
    assert found["printed"].split() == " ".join(quoted).split()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_readmes_first_ten_minutes(running_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its blocks of Python, one after the other; meanwhile the data owners decide, each at their own desk."""
    monkeypatch.chdir(project(tmp_path))
    (tmp_path / "demo-run").symlink_to(running_demo)
    blocks = [one.text for one in steps(ROOT / "README.md") if one.kind == "python" and "..." not in one.text]
    assert len(blocks) == 2
    names: dict[str, Any] = {}
    with ThreadPoolExecutor() as pool:
        deciding = pool.submit(_decide, running_demo, "ada@university.example.org", rounds=12)
        for block in blocks:
            exec(compile(block, "README.md", "exec"), names)  # noqa: S102 - the project's own page
        deciding.result(PATIENCE)
    assert names["submission"].manifest.rounds == 12
    assert load_file(tmp_path / "model.safetensors")
    assert names["study"].cost().epsilon <= 3


def _decide(demo: Path, researcher: str, rounds: int) -> None:
    """Accepts the researcher, unless that was done, and approves their study of so many rounds."""
    for path in sorted(demo.glob("*/datasite.toml")):
        with Datasite.opened(path.parent) as site:
            known = lambda site=site: researcher in site.office.peers.accepted()  # noqa: E731
            asking = lambda site=site: researcher in set(site.peer_requests()["researcher"])  # noqa: E731
            wait_for(lambda k=known, a=asking: k() or a(), "the researcher", PATIENCE)
            if not known():
                site.trust(researcher, site.researcher_keys(researcher).fingerprint)
    for path in sorted(demo.glob("*/datasite.toml")):
        with Datasite.opened(path.parent) as site:
            waiting = lambda site=site: [s for s in site.office.pending() if s.manifest.rounds == rounds]  # noqa: E731
            site.approve(wait_for(waiting, "the study", PATIENCE)[0].digest)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_operators_tour(running_demo: Path) -> None:
    saw = shown(executed("operator.ipynb", running_demo))
    for told in ("system call filter", "agent serving", "wardround_agent_serving 1.0", "Everything fits."):
        assert told in saw
    assert re.search(r"WRONG.*This log cannot be trusted as it stands.*exit code 1\b", saw, re.DOTALL)
    assert "checks held. Open report.html." in saw
    assert "Error" not in saw


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.ipynb")))
def test_notebooks_are_kept_stripped(name: str) -> None:
    notebook = nbformat.read(FOLDER / name, as_version=4)
    assert not [c for c in notebook.cells if c.get("outputs") or c.get("execution_count")]
