"""`python -m compose.provision`: all that the containers are given, in `compose/local/`: secrets, certificates, tables.

What is there stays, so it can be run again at any time; a certificate is made anew a month before it ends. Only one
account can read the files: the one that the containers run under.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from compose.certificates import Authority, days_left
from compose.images import engine
from datasites.wire.files import private_folder, write_atomically
from notebooks.demo.tables import write_tables

HERE = Path(__file__).parent
LOCAL = HERE / "local"
HOSPITALS = ("academic-centre", "county-hospital", "childrens-clinic")
RESEARCHER = "researcher"
ACCOUNT = 10001  # in the images, where this machine's own account is root
DICTIONARY = HERE.parent / "notebooks/readmission/dictionary.toml"
_RENEW_DAYS = 30
STORE = {
    "aws_endpoint": "https://store:9000",
    "aws_region": "us-east-1",
    "aws_virtual_hosted_style_request": "false",
    "ca_file": "/run/secrets/store_ca",
    "keys_file": "/run/secrets/store_keys",
}


def email(hospital: str) -> str:
    """By which researchers know it."""
    return f"data-office@{hospital}.example.org"


def account() -> int:
    """The user id of the containers: this one's, so that they can read its files; never root's."""
    return os.getuid() or ACCOUNT


def provision(local: Path = LOCAL, data: Path | None = None) -> list[str]:
    """Makes what is missing; returns the names of the files it made.

    data: the real UCI table, split into three by payer; invented patients when left out. Tables are made once: to have
    others, remove `tables/` and start the hospitals anew (`make reset`).
    """
    private_folder(local)
    made: list[str] = []

    def once(name: str, content: Callable[[], bytes]) -> bytes:
        path = local / name
        if not path.exists():
            private_folder(path.parent)
            write_atomically(path, content())
            made.append(name)
        if os.getuid() == 0:
            os.chown(path, ACCOUNT, ACCOUNT)
        return path.read_bytes()

    _certificates(local, once)
    participants = (*HOSPITALS, RESEARCHER)
    keys = [json.loads(once(f"keys/{name}.json", lambda name=name: _store_key(name))) for name in participants]
    pairs = ",".join(f'"{key["aws_access_key_id"]},{key["aws_secret_access_key"]}"' for key in keys)
    once("keys/store.csv", pairs.encode)
    for hospital in HOSPITALS:
        once(f"pseudonyms/{hospital}.key", lambda: secrets.token_bytes(32))
    once("jupyter.token", lambda: secrets.token_hex(24).encode())
    once("dictionary.toml", DICTIONARY.read_bytes)
    once("federation.toml", _federation)
    if not all((local / f"tables/{hospital}.csv").exists() for hospital in HOSPITALS):
        with tempfile.TemporaryDirectory(dir=local) as place:
            written = write_tables(Path(place), data, len(HOSPITALS))
            tables = dict(zip(HOSPITALS, (written[name] for name in _order(written)), strict=True))
            contents = {hospital: path.read_bytes() for hospital, path in tables.items()}
        shutil.rmtree(local / "tables", ignore_errors=True)
        for hospital in HOSPITALS:
            once(f"tables/{hospital}.csv", lambda hospital=hospital: contents[hospital])
    return made


def write_environment(engine: str, path: Path = HERE / ".env") -> None:
    """What compose.yaml is told about this machine; no secret is among it."""
    # a sandbox in the container mounts a /proc of its own, which Linux allows only where the container's is whole
    whole = "systempaths=unconfined" if engine == "docker" else "unmask=ALL"
    lines = [f"WARDROUND_UID={account()}", f"WARDROUND_SYSTEM_PATHS={whole}"]
    path.write_text("\n".join(lines) + "\n")


def _certificates(local: Path, once: Callable[[str, Callable[[], bytes]], bytes]) -> None:
    if not (local / "ca/ca.key").exists():
        for name in ("ca/ca.pem", "store/store.key", "store/store.pem"):
            (local / name).unlink(missing_ok=True)
    new = Authority.create("Wardround composed federation")
    key = once("ca/ca.key", lambda: new.key_pem)
    os.chown(local / "ca/ca.key", os.getuid(), os.getgid())  # no container is given this one
    authority = Authority(key, once("ca/ca.pem", lambda: new.certificate_pem))
    certificate = local / "store/store.pem"
    if certificate.exists() and days_left(certificate.read_bytes()) < _RENEW_DAYS:
        certificate.unlink()
    if not certificate.exists():
        (local / "store/store.key").unlink(missing_ok=True)
    signed, signed_key = authority.issue(("store", "localhost"))
    once("store/store.key", lambda: signed_key)
    once("store/store.pem", lambda: signed)


def _store_key(name: str) -> bytes:
    pair = {"aws_access_key_id": name, "aws_secret_access_key": secrets.token_urlsafe(32)}
    return json.dumps(pair).encode()


def _federation() -> bytes:
    """The file that the researcher connects with."""
    lines = ['name = "composed"', 'store = "s3://federation"', "", "[store_options]"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in STORE.items()]
    for hospital in HOSPITALS:
        lines += ["", f"[hospitals.{hospital}]", f'email = "{email(hospital)}"']
    return ("\n".join(lines) + "\n").encode()


def _order(written: dict[str, Path]) -> list[str]:
    """The demo's names stay with their own tables; real sites go to the hospitals in order of their names."""
    return list(HOSPITALS) if set(written) == set(HOSPITALS) else sorted(written)


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m compose.provision", description=__doc__)
    parser.add_argument("--data", type=Path, default=None, help="the real UCI table (diabetic_data.csv.gz)")
    options = parser.parse_args()
    made = provision(data=options.data)
    write_environment(engine())
    print(f"{LOCAL}: {len(made)} files made" if made else f"{LOCAL}: everything was there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
