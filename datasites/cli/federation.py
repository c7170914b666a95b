"""`wardround federation`: from a list of hospitals to datasites that can serve."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from datasites.cli.bucket_policy import bucket_policy
from datasites.cli.ca import VARIABLE
from datasites.cli.exits import Exit
from datasites.cli.front import front
from datasites.cli.options import DEFAULT_HOME
from datasites.cli.revocations import fetch_revocations
from datasites.onboarding.names import KEY
from datasites.wire.home import Home
from datasites.wire.passphrase import HOOK, from_file, invented, new_passphrase, passphrase, printed, write_hook
from policies.errors import InvalidInput

if TYPE_CHECKING:
    from datasites.onboarding.joining import Joined

app = typer.Typer(
    help="Found a consortium, invite hospitals and researchers, join by an invitation.", no_args_is_help=True
)
app.command()(fetch_revocations)
FolderOption = Annotated[Path, typer.Option("--folder", help="The consortium's folder.", file_okay=False)]
_HERE = Path("consortium")
LabelArgument = Annotated[str, typer.Argument(help="A participant's label or address, as in consortium.toml.")]
_INVITATION = "WARDROUND_INVITATION_PASSPHRASE"


@app.command()
def init(
    name: Annotated[str, typer.Option(help="The federation's name.")],
    store: Annotated[str, typer.Option(help="Where the store will be reached: HOST or HOST:PORT.")],
    hospital: Annotated[list[str] | None, typer.Option(help="LABEL=ADDRESS; may be repeated.")] = None,
    researcher: Annotated[list[str] | None, typer.Option(help="LABEL=ADDRESS; may be repeated.")] = None,
    existing_pki: Annotated[bool, typer.Option("--existing-pki", help="Make no authority; use yours.")] = False,
    folder: FolderOption = _HERE,
) -> None:
    """Make all that a consortium needs: its authority, its store's front, and the list of participants."""
    from datasites.onboarding import consortium

    host, colon, port = store.partition(":")
    if colon and not (port.isdecimal() and 0 < int(port) < 65536):
        raise InvalidInput(f"{store!r} is not HOST or HOST:PORT.", "For instance store.example.org:9443.")
    hospitals = consortium.labelled(hospital or [], "hospital")
    researchers = consortium.labelled(researcher or [], "researcher")
    if not existing_pki and not (folder / consortium.FILE).exists():
        begun = folder / "ca" / KEY  # of an init that was cut off
        secret = passphrase(begun, VARIABLE) if begun.exists() else new_passphrase("the authority's root key", VARIABLE)
    else:
        secret = None
    consortium.init(folder, name, host, int(port or 9443), hospitals, researchers, secret)
    typer.echo(f"Made in {folder}. Read {folder / 'README.md'}: it names the steps from here.")
    typer.echo(f"Next: copy {folder / 'store'} to {host} and run ./start.sh there; then wardround federation invite.")


@app.command()
def invite(
    label: LabelArgument,
    certificate: Annotated[Path | None, typer.Option(help="Of an existing authority, with its chain (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(help="The certificate's key (PEM).")] = None,
    folder: FolderOption = _HERE,
) -> None:
    """Make a participant's invitation, with a new certificate. Inviting again renews it."""
    from datasites.onboarding import consortium
    from datasites.onboarding.invitation import SUFFIX

    if (certificate is None) != (key is None):
        raise InvalidInput("--certificate and --key belong together.")
    given = (certificate, key, _key_passphrase(key)) if certificate and key else None
    secret = None if given else _root(folder)
    made = consortium.invite(folder, label, secret, given)
    words, path = invented(), folder / "invitations" / f"{made.email}{SUFFIX}"
    made.write(path, words.encode())
    typer.echo(f"{path} is the invitation of {made.email} ({made.role}). Send it by any way.")
    typer.echo(f"Its passphrase, to be told over the telephone and not written down here: {words}")


@app.command()
def revoke(
    label: LabelArgument,
    older: Annotated[bool, typer.Option("--older", help="All but the newest: after a renewal.")] = False,
    folder: FolderOption = _HERE,
) -> None:
    """Revoke a participant's certificates: a key was lost or stolen, or somebody leaves."""
    from datasites.onboarding import consortium

    gone = consortium.revoke(folder, label, _root(folder), keep_newest=older)
    typer.echo(f"{len(gone)} certificates revoked. They work until the store knows:")
    typer.echo(f"copy {folder / 'store/crl.pem'} to the store's machine and run ./reload.sh there.")


@app.command()
def renew_store(folder: FolderOption = _HERE) -> None:
    """Renew the store's certificate, and the list of revoked ones, before either ends."""
    from datasites.onboarding import consortium

    consortium.renew_store(folder, _root(folder))
    typer.echo(f"Copy store.pem, store.key and crl.pem of {folder / 'store'} to the store and run ./reload.sh there.")


@app.command()
def join(
    invitation: Annotated[Path, typer.Argument(help="The file that the consortium sent.", dir_okay=False)],
    table: Annotated[Path | None, typer.Option(help="Publish this table at once: .csv, .csv.gz or .parquet.")] = None,
    dictionary: Annotated[Path | None, typer.Option(help="The table's data dictionary (TOML).")] = None,
    passphrase_file: Annotated[
        Path | None, typer.Option(help="Keep the key under the passphrase in this file, and look there from now on.")
    ] = None,
    passphrase_command: Annotated[
        str, typer.Option(help="Or under the one that this command prints (a key management service).")
    ] = "",
    home: Annotated[
        Path | None,
        typer.Option("--home", envvar="WARDROUND_HOME", help="The participant's private folder.", file_okay=False),
    ] = None,
) -> None:
    """Join a federation: everything is made from the invitation, and checked. Joining again renews the certificate."""
    from datasites.onboarding import invitation as sealed
    from datasites.onboarding import joining

    if (table is None) != (dictionary is None):
        raise InvalidInput("--table and --dictionary belong together.")
    if passphrase_file and passphrase_command:
        raise InvalidInput("Two places of a passphrase are given.", "Give a file or a command.")
    content = sealed.read(invitation)
    words = passphrase(invitation, _INVITATION)
    opened = sealed.unseal(content, words)
    hospital = opened.role == "hospital"
    place = (home or (DEFAULT_HOME if hospital else Path.home() / ".wardround" / opened.email)).expanduser().resolve()
    words = _at_rest(place, words, passphrase_file, passphrase_command)
    joined = joining.join(opened, place, words)
    _tell(joined, opened.federation, hospital=hospital)
    if hospital:
        _finish(place, table, dictionary)


@app.command(name="passphrase")
def passphrase_(
    passphrase_file: Annotated[
        Path | None, typer.Option(help="The new one stands in this file; look there from now on.")
    ] = None,
    passphrase_command: Annotated[str, typer.Option(help="Or is printed by this command.")] = "",
    home: Annotated[
        Path, typer.Option("--home", envvar="WARDROUND_HOME", help="The participant's private folder.", file_okay=False)
    ] = DEFAULT_HOME,
) -> None:
    """Put a participant's keys under another passphrase, or a first one. Peers notice nothing."""
    from datasites.onboarding import joining
    from datasites.wire.identity import is_sealed

    place = home.expanduser().resolve()
    known = is_sealed(Home(place).keys) or (place / joining.IDENTITY).is_file()
    old = passphrase(Home(place).keys) if known else None
    if passphrase_file:
        new = from_file(passphrase_file)
    elif passphrase_command:
        new = printed(passphrase_command)
    else:
        new = new_passphrase(f"the keys in {place}", "WARDROUND_NEW_PASSPHRASE")
    changed = joining.change_passphrase(place, old, new)
    if passphrase_file or passphrase_command:
        write_hook(place, file=passphrase_file, command=passphrase_command)
    typer.echo(f"{len(changed)} files are under the new passphrase. An agent that runs needs it when it starts again.")


def _at_rest(place: Path, invitation: bytes, file: Path | None, command: str) -> bytes:
    """The passphrase that the keys in `place` are kept under: where there are some already, theirs."""
    from datasites.wire.files import private_folder
    from datasites.wire.identity import is_sealed

    keys = Home(place).keys
    if file or command:
        if is_sealed(keys):
            raise InvalidInput(
                f"The keys in {place} have a passphrase already.", "Change it with: wardround federation passphrase"
            )
        words = from_file(file) if file else printed(command)  # what cannot be used is told before anything is made
        write_hook(private_folder(place), file=file, command=command)
        return words
    return passphrase(keys) if is_sealed(keys) or (place / HOOK).is_file() else invitation


def _tell(joined: Joined, federation: str, *, hospital: bool) -> None:
    from datasites.onboarding import joining

    what = "The certificate is renewed" if joined.renewed else f"Joined {federation}"
    typer.echo(f"{what}: {joined.home}")
    if not joined.renewed:
        typer.echo(f"Read this fingerprint to the consortium over the telephone: {joined.fingerprint}")
    if not hospital:
        typer.echo(f"Connect with: researcher.connect({str(joined.home / joining.FEDERATION)!r}, ..., home=...)")
    if not (joined.home / HOOK).is_file():
        typer.echo("Its keys open by the passphrase of its first invitation, and the agent needs that when it starts.")
        typer.echo("Better, choose one of your own: wardround federation passphrase --passphrase-file FILE")


def _finish(home: Path, table: Path | None, dictionary: Path | None) -> None:
    """Publishes, and shows what a doctor finds."""
    from datasites.cli import show
    from datasites.cli.doctor import show_findings
    from datasites.datasite import Datasite
    from datasites.onboarding.checks import datasite_findings
    from datasites.wire.dictionary import Dictionary

    if table and dictionary:
        with Datasite.opened(home) as site:
            described = Dictionary.load(dictionary)
            show.published(described, site.publish(described, table))
    findings = datasite_findings(home)
    show_findings(findings)
    if any(one.ok is False for one in findings):
        typer.echo("The datasite is made. Mend what is marked `no`, and look again: wardround doctor")
        raise typer.Exit(Exit.UNUSABLE)
    typer.echo(f"Next: wardround datasite serve --home {home}")


def _root(folder: Path) -> bytes:
    from datasites.onboarding.consortium import Consortium

    Consortium.load(folder)
    if not (folder / "ca" / KEY).exists():
        raise InvalidInput(
            f"The consortium in {folder} has no authority of its own.", "Give --certificate and --key of yours."
        )
    return passphrase(folder / "ca" / KEY, VARIABLE)


def _key_passphrase(key: Path) -> bytes | None:
    try:
        return passphrase(key) if b"ENCRYPTED" in key.read_bytes() else None
    except OSError:
        raise InvalidInput(f"The key {key} cannot be read.", "Check that it is there.") from None


app.command(name="bucket-policy")(bucket_policy)
app.command()(front)
