from __future__ import annotations

from pathlib import Path

import pytest

import researcher as wr
from researcher.federation import connect


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("store = nonsense", "not valid TOML"),
        ("", "not a federation file"),
        ('store = "file:///x"', "not a federation file"),
        ('store = ""\n[hospitals.a]\nemail = "do@a.org"', "not a federation file"),
        ('store = "file:///x"\nhospitals = 3', "not a federation file"),
        ('store = "file:///x"\nhospitals = "a"', "not a federation file"),
        ('store = "file:///x"\n[hospitals.a]\nmail = "do@a.org"', "not a federation file"),
        ('store = "file:///x"\n[hospitals]\na = "do@a.org"', "not a federation file"),
        ('store = "file:///x"\nstore_options = 3\n[hospitals.a]\nemail = "do@a.org"', "not a federation file"),
        ('store = "file:///x"\n[hospitals.a]\nemail = "nobody"', "'nobody' is not an e-mail address"),
        ('store = "ftp://x"\n[hospitals.a]\nemail = "do@a.org"', "store address 'ftp://x' is not understood"),
    ],
)
def test_a_wrong_file_is_told_in_a_sentence(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "federation.toml"
    file.write_text(text)
    with pytest.raises(wr.InvalidInput, match=why):
        connect(file, "ada@uni.org", home=tmp_path / "ada")


def test_nothing_is_made_before_all_was_understood(tmp_path: Path) -> None:
    (tmp_path / "federation.toml").write_text("")
    (tmp_path / "bytes.toml").write_bytes(b'store = "\xff"')
    for file, email in (("federation.toml", "ada@uni.org"), ("bytes.toml", "ada@uni.org"), ("none.toml", "a@b.org")):
        with pytest.raises(wr.InvalidInput):
            connect(tmp_path / file, email, home=tmp_path / "ada")
    assert not (tmp_path / "ada").exists()


def test_before_any_hospital_has_answered(tmp_path: Path) -> None:
    file = tmp_path / "federation.toml"
    file.write_text(f'store = "file://{tmp_path}/store"\n[hospitals.a]\nemail = "do@a.org"\n')
    federation = connect(file, "ada@uni.org", home=tmp_path / "ada")
    assert federation.hospitals()[["hospital", "accepted", "datasets"]].values.tolist() == [["a", False, ""]]
    with pytest.raises(wr.Unavailable, match="Still waiting for a"):
        federation.wait_for_hospitals(0)
    with pytest.raises(wr.InvalidInput, match="No hospital shows a dataset 'stays'"):
        federation.rehearse(wr.Study("demo", "Test", tmp_path, "stays", rounds=1))
    with pytest.raises(wr.InvalidInput, match="There is no study 'demo' here"):
        federation.submission("demo")
    with pytest.raises(wr.Refused, match=r"belongs to ada@uni\.org, not to bob@uni\.org"):
        connect(file, "bob@uni.org", home=tmp_path / "ada")
