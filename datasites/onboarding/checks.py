"""What `wardround doctor` looks at in a datasite that was set up: its certificate, its store, its clock, its tables."""

from __future__ import annotations

import http.client
import secrets
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509

from datasites.home import DatasiteHome
from datasites.onboarding.finding import Finding
from datasites.settings import FILE, DatasiteSettings
from datasites.wire import keys
from datasites.wire.store import Store
from datasites.wire.store_options import CERTIFICATE, resolved
from policies.errors import NotAllowed, WardroundError

RENEW_DAYS = 30
_SMALL_SKEW, _LARGE_SKEW = 30.0, 300.0  # seconds; S3 refuses what is signed 900 seconds off
_SECONDS = 5.0
_NOBODY = "doctor@nobody.invalid"  # nobody's address: a store that holds participants to their prefixes refuses it


def datasite_findings(home: Path) -> list[Finding]:
    """Everything about the datasite in `home`; one finding where there is none."""
    place = DatasiteHome(home.expanduser().resolve())
    if not (place.path / FILE).is_file():
        return [Finding("datasite", f"none in {place.path} yet", mend="wardround federation join, or datasite init")]
    try:
        settings = DatasiteSettings.load(place.path)
    except WardroundError as why:
        return [Finding("datasite", why.message, ok=False, mend=why.hint)]
    found = [_keys(place, settings), *_restored(place), *_executor(settings)]
    found += list(_certificates(settings.store_options))
    reached = list(_store(settings))
    return [*found, *reached, *_tables(place, settings, reachable=reached[0].ok is True)]


def _keys(place: DatasiteHome, settings: DatasiteSettings) -> Finding:
    from datasites.wire.identity import Identity, is_sealed

    def look() -> str:
        public = Identity.load(settings.email, place.keys).public
        under = "under a passphrase" if is_sealed(place.keys) else "without a passphrase"
        times = f", replaced {len(public.earlier)} times" if public.earlier else ""
        return f"{settings.email}, {under}, fingerprint {public.fingerprint}{times}"

    return _tried("keys", look)


def _executor(settings: DatasiteSettings) -> Iterator[Finding]:
    """Where studies run, if it is not this machine."""
    from datasites.runner.executors.choose import executor_of

    if settings.executor == "local":
        return
    sentence, mend = executor_of(settings).problem()
    works = f"{settings.executor}: it would take a job; whether its nodes can confine a study, they say when one begins"
    yield Finding("executor", sentence or works, ok=not sentence, mend=mend)


def _restored(place: DatasiteHome) -> Iterator[Finding]:
    from datasites.backup.put_back import mark

    if put_back := mark(place):
        told = f"this datasite comes from a backup made {put_back.made}, and does not serve yet"
        yield Finding("backup", told, ok=False, mend="wardround datasite confirm-restore")


def _tried(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, look(), ok=True)
    except WardroundError as why:
        return Finding(what, why.message, ok=False, mend=why.hint)


# certificates


def _certificates(options: dict[str, Any]) -> Iterator[Finding]:
    path, authority = options.get("certificate_file"), options.get("ca_file")
    authorities: list[x509.Certificate] = []
    if authority:
        authorities, finding = _read(Path(str(authority)), "authority")
        yield finding
    if path:
        chain, finding = _read(Path(str(path)), "certificate")
        if chain and authorities and not _chained(chain, authorities):
            mend = "Ask the consortium for a new invitation, and join again."
            finding = Finding("certificate", f"{path} is not signed by the authority in {authority}", False, mend)
        yield finding


def _read(path: Path, what: str) -> tuple[list[x509.Certificate], Finding]:
    try:
        chain = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return [], Finding(what, f"{path} cannot be read", ok=False, mend="Join with the invitation again.")
    return chain, dated(chain[0], what)


def dated(certificate: x509.Certificate, what: str, at: datetime | None = None) -> Finding:
    """Whether a certificate is in force, and for how long."""
    now = at or datetime.now(UTC)
    days = (certificate.not_valid_after_utc - now) / timedelta(days=1)
    name = certificate.subject.rfc4514_string()
    mend = "Ask the consortium for a new invitation, and join again with it: nothing else changes."
    if certificate.not_valid_before_utc > now:
        return Finding(what, f"{name}: not in force yet", False, "Look at this machine's clock.")
    if days < 0:
        return Finding(what, f"{name}: ended on {certificate.not_valid_after_utc:%Y-%m-%d}", False, mend)
    soon = days < RENEW_DAYS
    return Finding(what, f"{name}: {days:.0f} days left", None if soon else True, mend if soon else "")


def _chained(chain: list[x509.Certificate], authorities: list[x509.Certificate]) -> bool:
    for issuer in authorities:
        try:
            chain[-1].verify_directly_issued_by(issuer)
        except Exception:  # noqa: S112 # of many kinds, and any of them means: not by this one
            continue
        return True
    return False


# the store


def _store(settings: DatasiteSettings) -> Iterator[Finding]:
    """The first finding is whether it can be used."""
    asked = _ask(settings)
    if asked is not None and asked[0].ok is False:
        yield asked[0]
        return
    try:
        store = Store(settings.store, settings.store_options)
        probe = f"{keys.participant(settings.email)}/doctor/{secrets.token_hex(8)}"
        before = datetime.now(UTC)
        store.put(probe, b"wardround doctor")
        try:
            theirs = store.modified(probe)
            whole = store.get(probe) == b"wardround doctor" and store.names(probe.rsplit("/", 1)[0]) != []
        finally:
            store.delete(probe)
    except WardroundError as why:
        yield Finding("store", why.message, ok=False, mend=why.hint)
        if asked is not None:
            yield asked[1]
        return
    if whole:
        yield Finding("store", f"{settings.store}: written, listed, read and deleted", ok=True)
    else:
        yield Finding("store", f"{settings.store} lost what was written", False, "Ask who runs the store.")
    yield _rights(store)
    yield asked[1] if asked is not None else clock(theirs, before)


def _rights(store: Store) -> Finding:
    """Whether the store keeps participants out of each other's boxes."""
    name = f"{keys.participant(_NOBODY)}/{secrets.token_hex(8)}"
    mend = "Put a front before the store that knows participants by their certificates: docs/onboarding.md."
    try:
        store.put(name, b"")
        store.delete(name)
    except NotAllowed:
        pass
    except WardroundError as why:
        return Finding("rights", why.message, mend=why.hint)
    else:
        found = "whoever can use the store can delete others' messages there (nobody can read or forge them)"
        return Finding("rights", found, mend=mend)
    try:
        store.names(keys.own(_NOBODY))
    except NotAllowed:
        return Finding("rights", "the store lets this datasite use its own boxes only", ok=True)
    except WardroundError as why:
        return Finding("rights", why.message, mend=why.hint)
    found = "whoever can use the store can see whose messages lie there, though not delete them"
    return Finding("rights", found, mend="Ask who runs the store to write its front anew: wardround federation front.")


def clock(theirs: datetime | None, ours: datetime) -> Finding:
    """This machine's clock against the store's."""
    if theirs is None:
        return Finding("clock", "the store does not tell its time")
    skew = (ours - theirs).total_seconds()
    said = f"{abs(skew):.0f} seconds {'ahead of' if skew > 0 else 'behind'} the store's"
    mend = "Set this machine's clock: timedatectl set-ntp true. If it is right, tell who runs the store."
    if abs(skew) > _LARGE_SKEW:
        return Finding("clock", said, ok=False, mend=mend)
    return Finding("clock", said, ok=True) if abs(skew) <= _SMALL_SKEW else Finding("clock", said, None, mend)


def _ask(settings: DatasiteSettings) -> tuple[Finding, Finding] | None:
    """(whether the store's server answers, the clock) of a store with an endpoint; else None. Knows better than a
    client of stores what is wrong with name, network or certificate."""
    endpoint = urlsplit(str(settings.store_options.get("aws_endpoint", "")))
    if endpoint.scheme not in ("http", "https") or not endpoint.hostname:
        return None
    where, secure = endpoint.netloc, endpoint.scheme == "https"
    try:
        connection = _connection(settings, endpoint.hostname, endpoint.port, secure=secure)
        try:
            connection.request("HEAD", "/")
            said = connection.getresponse().headers.get("Date", "")
        finally:
            connection.close()
    except socket.gaierror:
        return _failed(
            f"no machine is called {endpoint.hostname}", "Check aws_endpoint and this network's name server."
        )
    except ssl.SSLCertVerificationError as why:
        mend = "Do not go on: ask the consortium whether the store has a new certificate; then join again."
        return _failed(f"{where} does not prove that it is the store: {why.verify_message}", mend)
    except ssl.SSLError as why:
        return _failed(f"{where} does not speak TLS as it should ({why.reason})", "Ask who runs the store.")
    except WardroundError as why:
        return _failed(why.message, why.hint)
    except (OSError, http.client.HTTPException) as why:
        mend = "Open this machine's firewall for outgoing connections there, or wait until the store runs."
        return _failed(f"{where} does not answer ({type(why).__name__})", mend)
    try:
        theirs = parsedate_to_datetime(said)
    except ValueError:
        theirs = None
    return Finding("store", f"{where} answers", ok=True), clock(theirs, datetime.now(UTC))


def _connection(settings: DatasiteSettings, host: str, port: int | None, *, secure: bool) -> http.client.HTTPConnection:
    if not secure:
        return http.client.HTTPConnection(host, port, timeout=_SECONDS)
    options = resolved(settings.store_options)
    if CERTIFICATE in options:
        from datasites.wire import certified

        context = certified.Client(settings.store, options).context()
    else:
        context = ssl.create_default_context()
        if authority := options.get("client_options", {}).get("root_certificate"):
            context.load_verify_locations(cadata=authority)
    return http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=context)


def _failed(found: str, mend: str) -> tuple[Finding, Finding]:
    return Finding("store", found, ok=False, mend=mend), Finding("clock", "not compared: the store does not answer")


# tables


def _tables(place: DatasiteHome, settings: DatasiteSettings, *, reachable: bool) -> Iterator[Finding]:
    from datasites.catalog.registry import Registry

    registry = Registry(place.datasets)
    if not registry.names():
        mend = "wardround datasite publish --table TABLE --dictionary DICTIONARY"
        yield Finding("tables", "none published: researchers see nothing of this hospital yet", mend=mend)
    shown = _shown(settings) if reachable else None
    for name in registry.names():
        what = f"table {name}"

        def look(name: str = name) -> str:
            registry.get(name).read()  # not `Registry.read`, which would note a new number of patients
            return "its source can be read, and fits its dictionary"

        finding = _tried(what, look)
        if finding.ok and shown is not None and not any(f"_{name}_" in one for one in shown):
            mend = "Publish it again: wardround datasite publish."
            finding = Finding(what, "it is registered here, but the store does not show its mock twin", False, mend)
        yield finding


def _shown(settings: DatasiteSettings) -> list[str] | None:
    try:
        folders = Store(settings.store, settings.store_options).folders(keys.collections(settings.email))
        return [keys.last(folder) for folder in folders]
    except WardroundError:
        return None
