"""`wardround federation front`, by which a consortium that was founded earlier gets the front of this release."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from datasites.cli import app
from datasites.onboarding import consortium
from datasites.onboarding.front import nginx_conf


def test_the_front_is_written_anew_and_its_keys_stay(tmp_path: Path) -> None:
    place = tmp_path / "consortium"
    consortium.init(place, "Trial", "store.example.org", 9555, {"north": "do@north.org"}, {}, None)
    (place / "store/nginx.conf").write_text("of an earlier release")
    key = (place / "store/s3.key").read_bytes()
    done = CliRunner().invoke(app, ["federation", "front", "--folder", str(place)], catch_exceptions=False)
    assert (done.exit_code, "./reload.sh" in done.output) == (0, True)
    assert (place / "store/nginx.conf").read_text() == nginx_conf(port=9555)
    assert "north" not in (place / "store/nginx.conf").read_text()
    assert (place / "store/s3.key").read_bytes() == key


def test_where_there_is_no_consortium(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["federation", "front", "--folder", str(tmp_path)])
    assert "There is no consortium" in str(done.exception)
