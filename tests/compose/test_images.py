"""What the images are built from can be seen by the build."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_build_sees_all_that_it_copies_and_no_secret() -> None:
    ignored, *shown = (ROOT / ".dockerignore").read_text().split()
    assert ignored == "*"
    seen = [ROOT / word[1:] for word in shown if word.startswith("!")]
    lines = (ROOT / "compose/Containerfile").read_text().splitlines()
    copied = [ROOT / source for line in lines if line.startswith("COPY ") for source in line.split()[1:-1]]
    assert len(copied) > 15
    for path in copied:
        assert path.exists(), path
        assert any(path.is_relative_to(one) for one in seen), f"{path} is hidden from the build by .dockerignore"
    assert not any((ROOT / "compose/local").is_relative_to(one) for one in seen)
