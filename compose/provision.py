"""`python -m compose.provision`: all that the containers are given, in `compose/local/`.

| path | what | which containers see it |
|---|---|---|
| consortium/ | made by `wardround federation init`: authority, participants, the store's front | store/: the store |
| authority.passphrase | of the authority's root key | none |
| secrets/LABEL.invitation, .invitation-passphrase | a participant's invitation, and what it opens by | its own |
| secrets/LABEL.passphrase | what the participant keeps its keys under | its own |
| secrets/HOSPITAL.pseudonyms | the hospital's secret of patients' pseudonyms | its own |
| secrets/jupyter.token | to sign in at the notebooks | the researcher's |
| tables/, dictionary.toml | what hospitals publish | each its own table |

What is there stays, so it can be run again at any time; a certificate is made anew a month before it ends. Only one
account can read the files: the one that the containers run under.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from compose.images import engine
from datasites.onboarding import consortium, front
from datasites.onboarding.authority import register
from datasites.wire.files import private_folder, write_atomically
from datasites.wire.passphrase import invented
from notebooks.demo.tables import write_tables
from policies.errors import Refused, WardroundError

HERE = Path(__file__).parent
LOCAL = HERE / "local"
HOSPITALS = ("academic-centre", "county-hospital", "childrens-clinic")
RESEARCHER = "researcher"
RESEARCHER_EMAIL = "ada@university.example.org"  # as the notebook says
PARTICIPANTS = (*HOSPITALS, RESEARCHER)
STORE_HOST, STORE_PORT = "store", 9443
ACCOUNT = 10001  # in the images, where this machine's own account is root
DICTIONARY = HERE.parent / "notebooks/readmission/dictionary.toml"
_RENEW_DAYS = 30
_BEFORE_CERTIFICATES = ("ca", "keys")  # in the folder of a release whose participants had no certificates


def email(label: str) -> str:
    """By which the others know a participant."""
    return RESEARCHER_EMAIL if label == RESEARCHER else f"data-office@{label}.example.org"


def account() -> int:
    """The user id of the containers: this one's, so that they can read its files; never root's."""
    return os.getuid() or ACCOUNT


def provision(local: Path = LOCAL, data: Path | None = None) -> list[str]:
    """Makes what is missing; returns the names of the files it made.

    data: the real UCI table, split into three by payer; invented patients when left out. Tables are made once: to have
    others, remove `tables/` and start the hospitals anew (`make reset`). Raises Refused for a folder that an earlier
    release made.
    """
    if any((local / name).exists() for name in _BEFORE_CERTIFICATES):
        raise Refused(
            f"{local} was made by an earlier release, whose participants had no certificates.",
            "Run: make reset. It removes that folder and what its containers have stored.",
        )
    private_folder(local)
    made: list[str] = []

    def once(name: str, content: Callable[[], bytes]) -> bytes:
        path = local / name
        if not path.exists():
            private_folder(path.parent)
            write_atomically(path, content())
            made.append(name)
        return path.read_bytes()

    passphrase = once("authority.passphrase", lambda: invented().encode())
    made += _federation(local / "consortium", passphrase)
    for label in PARTICIPANTS:
        once(f"secrets/{label}.passphrase", lambda: invented().encode())
        made += _invitation(local, label, passphrase)
    for hospital in HOSPITALS:
        once(f"secrets/{hospital}.pseudonyms", lambda: secrets.token_bytes(32))
    once("secrets/jupyter.token", lambda: secrets.token_hex(24).encode())
    once("dictionary.toml", DICTIONARY.read_bytes)
    if not all((local / f"tables/{hospital}.csv").exists() for hospital in HOSPITALS):
        with tempfile.TemporaryDirectory(dir=local) as place:
            written = write_tables(Path(place), data, len(HOSPITALS))
            tables = dict(zip(HOSPITALS, (written[name] for name in _order(written)), strict=True))
            contents = {hospital: path.read_bytes() for hospital, path in tables.items()}
        shutil.rmtree(local / "tables", ignore_errors=True)
        for hospital in HOSPITALS:
            once(f"tables/{hospital}.csv", lambda hospital=hospital: contents[hospital])
    hand_over(local)
    return made


def hand_over(local: Path) -> None:
    """Gives the containers' account what they read, where this account is root. The authority stays root's alone."""
    if os.getuid() == 0:
        for given in ("consortium/store", "secrets", "tables", "dictionary.toml"):
            for path in (local / given, *(local / given).rglob("*")):
                os.chown(path, ACCOUNT, ACCOUNT)


def write_environment(engine: str, path: Path = HERE / ".env") -> None:
    """What compose.yaml is told about this machine; no secret is among it."""
    # a sandbox in the container mounts a /proc of its own, which Linux allows only where the container's is whole
    whole = "systempaths=unconfined" if engine == "docker" else "unmask=ALL"
    lines = [f"WARDROUND_UID={account()}", f"WARDROUND_SYSTEM_PATHS={whole}"]
    path.write_text("\n".join(lines) + "\n")


def _federation(folder: Path, passphrase: bytes) -> list[str]:
    """Founds it, or renews the certificate of its store."""
    if not (folder / consortium.FILE).exists():
        hospitals, researchers = ({label: email(label) for label in group} for group in (HOSPITALS, (RESEARCHER,)))
        consortium.init(folder, "composed", STORE_HOST, STORE_PORT, hospitals, researchers, passphrase)
        return ["consortium/store/store.pem"]
    front.write_front(folder / "store", front.BUCKET, STORE_PORT)  # as this release writes it
    if _in_force(folder, "store"):
        return []
    consortium.renew_store(folder, passphrase)
    return ["consortium/store/store.pem"]


def _invitation(local: Path, label: str, passphrase: bytes) -> list[str]:
    """Invites a participant, or invites it again before its certificate ends. Whom somebody has revoked stays out."""
    folder = local / "consortium"
    file, words = (local / f"secrets/{label}.{what}" for what in ("invitation", "invitation-passphrase"))
    issued = [entry for entry in register(folder / "ca") if entry.name == email(label)]
    if issued and (issued[-1].revoked or (file.exists() and words.exists() and _in_force(folder, email(label)))):
        return []
    told = invented().encode()
    invitation = consortium.invite(folder, label, passphrase)
    words.unlink(missing_ok=True)  # what is cut off here is made again, as the two belong together
    invitation.write(file, told)
    write_atomically(words, told)
    return [f"secrets/{label}.invitation"]


def _in_force(folder: Path, name: str) -> bool:
    """Whether the newest certificate of that name is good for a while."""
    ends = [entry.ends for entry in register(folder / "ca") if entry.name == name]
    return bool(ends) and ends[-1] - datetime.now(UTC) > timedelta(days=_RENEW_DAYS)


def _order(written: dict[str, Path]) -> list[str]:
    """The demo's names stay with their own tables; real sites go to the hospitals in order of their names."""
    return list(HOSPITALS) if set(written) == set(HOSPITALS) else sorted(written)


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m compose.provision", description="Makes what containers are given.")
    parser.add_argument("--data", type=Path, default=None, help="the real UCI table (diabetic_data.csv.gz)")
    options = parser.parse_args()
    from compose.containers import stored  # which knows the names from here

    try:
        if not LOCAL.exists() and stored():
            raise Refused(
                f"What the containers have stored belongs to secrets that were in {LOCAL}, and it is gone.",
                "Put it back, or run: make reset. It removes what they have stored.",
            )
        made = provision(LOCAL, options.data)
    except WardroundError as problem:
        print(problem, file=sys.stderr)
        return 1
    write_environment(engine())
    print(f"{LOCAL}: {len(made)} files made" if made else f"{LOCAL}: everything was there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
