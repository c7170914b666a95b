from __future__ import annotations

from pathlib import Path

from datasites.runner.sandbox.python import _is_python, needs


def test_only_python_is_shown_of_the_machine():
    shown = needs().reads
    root = Path(__file__).resolve().parents[4]
    assert (root / "datasites") in shown
    assert root not in shown
    for path in ("/", "/etc", "/home", "/root", "/tmp", "/usr", "/usr/bin", "/var", str(root.parent)):  # noqa: S108
        assert Path(path) not in shown


def test_folders_that_an_installation_adds_to_the_search_path_are_not_python():
    prefixes = {Path("/opt/venv")}
    assert _is_python(Path("/opt/venv/lib/python3.12/site-packages"), prefixes)
    assert _is_python(Path("/usr/lib/python3/dist-packages"), prefixes)
    assert not _is_python(Path("/home/ada/wardround"), prefixes)
