"""`wardround ca`: a consortium's own certificate authority."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from datasites.onboarding.names import CERTIFICATE_DAYS, KEY, REVOKED
from datasites.wire.files import write_atomically
from datasites.wire.passphrase import new_passphrase, passphrase
from policies.errors import InvalidInput, Refused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

    from datasites.onboarding.authority import Authority, Role

app = typer.Typer(
    help="A consortium's own certificate authority; `federation` does the same in one go.", no_args_is_help=True
)
VARIABLE = "WARDROUND_CA_PASSPHRASE"
FolderOption = Annotated[Path, typer.Option("--ca", help="The authority's folder.", file_okay=False)]
_HERE = Path("ca")
NameArgument = Annotated[str, typer.Argument(help="A participant's address; for the store: store.")]
RoleOption = Annotated[str, typer.Option(help="hospital, researcher or store.")]
HostOption = Annotated[list[str] | None, typer.Option("--host", help="By which the store is reached; may be repeated.")]
OutOption = Annotated[Path | None, typer.Option(help="Folder for NAME.pem and NAME.key; here if not given.")]
DaysOption = Annotated[int, typer.Option(min=1, max=825, help="How long the certificate is good.")]


def opened(folder: Path) -> Authority:
    """The authority, by the passphrase from WARDROUND_CA_PASSPHRASE, _FILE, _COMMAND, or the terminal."""
    from datasites.onboarding.authority import Authority

    if not (folder / KEY).exists():
        raise InvalidInput(f"There is no authority in {folder}.", "Run: wardround ca init, or give --ca.")
    return Authority.open(folder, passphrase(folder / KEY, VARIABLE))


@app.command()
def init(
    name: Annotated[str, typer.Option(help="What the authority is called.")], folder: FolderOption = _HERE
) -> None:
    """Make an authority: its root key, under a passphrase, and its certificate."""
    from datasites.onboarding.authority import Authority, fingerprint

    if (folder / KEY).exists():
        raise Refused(f"There is an authority in {folder} already.", "Choose another folder.")
    made = Authority.create(folder, name[:64], new_passphrase("the authority's root key", VARIABLE))
    typer.echo(f"Made in {folder}; its fingerprint is {fingerprint(made.certificate)}.")
    typer.echo(f"{folder / KEY} and its passphrase are all that can issue certificates: keep copies of both in a safe.")


@app.command()
def issue(
    name: NameArgument,
    role: RoleOption = "hospital",
    host: HostOption = None,
    request: Annotated[
        Path | None, typer.Option("--csr", help="Sign a request (PEM), so that the key stays where it was made.")
    ] = None,
    days: DaysOption = CERTIFICATE_DAYS,
    out: OutOption = None,
    folder: FolderOption = _HERE,
) -> None:
    """Issue a certificate to a participant, or to the store."""
    _issue(opened(folder), name, _role(role), host or [], request, days, out or Path())


@app.command()
def renew(
    name: NameArgument,
    host: HostOption = None,
    days: DaysOption = CERTIFICATE_DAYS,
    out: OutOption = None,
    folder: FolderOption = _HERE,
) -> None:
    """Issue a new certificate, with a new key, to who has one. The old one stays good: revoke it with --older."""
    authority = opened(folder)
    _issue(authority, name, authority.role_of(name), host or [], None, days, out or Path())


@app.command()
def revoke(
    name: NameArgument,
    older: Annotated[bool, typer.Option("--older", help="All but the newest: after a renewal.")] = False,
    folder: FolderOption = _HERE,
) -> None:
    """Revoke all certificates of a name, and sign the list of revoked ones anew."""
    gone = opened(folder).revoke(name, keep_newest=older)
    typer.echo(f"{len(gone)} revoked. Now give {folder / REVOKED} to the store's front, and run ./reload.sh there.")


@app.command(name="list")
def list_(folder: FolderOption = _HERE) -> None:
    """List every certificate that was issued."""
    from datasites.onboarding.authority import register

    table = Table("name", "role", "serial", "issued", "ends", "revoked")
    for one in register(folder):
        revoked = f"{one.revoked:%Y-%m-%d %H:%M}" if one.revoked else ""
        table.add_row(one.name, one.role, one.serial, f"{one.issued:%Y-%m-%d}", f"{one.ends:%Y-%m-%d}", revoked)
    Console(highlight=False).print(table)


def _issue(
    authority: Authority, name: str, role: Role, hosts: list[str], request: Path | None, days: int, out: Path
) -> None:
    from datasites.onboarding.authority import locked, plain

    if (role == "store") != bool(hosts):
        raise InvalidInput("--host belongs to the store's certificate, and to no other's.", "Give it there only.")
    if request is None:
        # before anything is signed: a certificate whose key is lost would stay good
        secret = None if role == "store" else new_passphrase(f"the key of {name}")
        certificate, key = authority.issue(name, role, hosts, days)
        write_atomically(out / f"{name}.key", plain(key) if secret is None else locked(key, secret))
        typer.echo(f"Its key: {out / f'{name}.key'}" + (" (open: the store starts by itself)" if not secret else ""))
    else:
        certificate = authority.sign(name, role, _requested(request), hosts, days)
    write_atomically(out / f"{name}.pem", certificate)
    typer.echo(f"Its certificate: {out / f'{name}.pem'}, good for {days} days.")


def _requested(path: Path) -> ec.EllipticCurvePublicKey:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        asked = x509.load_pem_x509_csr(path.read_bytes())
        sound = asked.is_signature_valid
        public = asked.public_key()
    except (OSError, ValueError):
        raise InvalidInput(f"{path} is not a certificate request (PEM).") from None
    if not sound or not isinstance(public, ec.EllipticCurvePublicKey):
        raise InvalidInput(f"{path} is not signed by its own elliptic-curve key.", "Make it with an EC P-256 key.")
    return public


def _role(word: str) -> Role:
    if word not in ("hospital", "researcher", "store"):
        raise InvalidInput(f"{word!r} is no role.", "It is hospital, researcher or store.")
    return word  # type: ignore[return-value]
