"""How attackers ask the front: by our own client, and by requests that are spelt byte by byte."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode

from minio.credentials import Credentials
from minio.signer import sign_v4_s3

from datasites.onboarding.front import BUCKET
from datasites.wire.store import Store
from tests.support.front import PASSPHRASE, Front
from tests.support.s3 import KEY, SECRET


def store(front: Front, who: str | Path) -> Store:
    return Store(front.url, front.options(who if isinstance(who, Path) else front.made[who]))


def context(front: Front, certificate: Path | None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(front.folder / "store/ca.pem"))
    if certificate:
        made.load_cert_chain(certificate, password=PASSPHRASE)
    return made


def raw(
    front: Front, who: str | Path, method: str, target: str, body: bytes = b"", **headers: str
) -> tuple[int, bytes]:
    """A request with exactly this target, signed with the right S3 key: (status, answer)."""
    certificate = who if isinstance(who, Path) else front.made[who]
    connection = http.client.HTTPSConnection("localhost", front.port, context=context(front, certificate))
    return _asked(connection, method, target, body, signed(method, target, headers))


def put(front: Front, name: str, content: bytes) -> Path:
    """Past the front, as whoever runs the store could. Returns where it lies."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as inner:
        inner.connect(str(front.folder / "store/objects.sock"))
        connection = http.client.HTTPConnection("localhost")
        connection.sock = inner
        target = f"/{BUCKET}/{name}"
        status, answer = _asked(connection, "PUT", target, content, signed("PUT", target, {}))
    assert status == 200, answer
    return lies(front, name)


def lies(front: Front, name: str) -> Path:
    """Where an object of that name lies."""
    return front.folder / "store/objects" / BUCKET / name


def signed(method: str, target: str, headers: Mapping[str, str]) -> dict[str, str]:
    """The request's headers, with the right signature."""
    path, _, query = target.removeprefix("https://localhost").partition("?")
    # as signatures are made, whatever the request looks like
    query = urlencode(sorted(parse_qsl(query, keep_blank_values=True)), quote_via=quote, safe="-_.~")
    digest, date = "UNSIGNED-PAYLOAD", datetime.now(UTC)
    made = sign_v4_s3(
        method=method,
        url=SplitResult("https", "localhost", quote(unquote(path), safe="/-_.~"), query, ""),
        region="us-east-1",
        headers={
            "Host": "localhost",
            "x-amz-content-sha256": digest,
            "x-amz-date": date.strftime("%Y%m%dT%H%M%SZ"),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        },
        credentials=Credentials(KEY, SECRET),
        content_sha256=digest,
        date=date,
    )
    return {name: str(value) for name, value in made.items()}


def _asked(
    connection: http.client.HTTPConnection, method: str, target: str, body: bytes, headers: dict[str, str]
) -> tuple[int, bytes]:
    with contextlib.closing(connection):
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
