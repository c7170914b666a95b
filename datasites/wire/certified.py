"""An S3 store that asks for a client certificate (mutual TLS), with the functions of `obstore` that `Store` uses.

`obstore` cannot present a client certificate (its client options, as those of Rust's `object_store`, have none), so
such a store is spoken to by `minio`, over a connection pool with our own `ssl` context. A sidecar that adds the
certificate was the other way; every user of the machine could use it.
"""

from __future__ import annotations

import io
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error
from obstore.exceptions import GenericError, NotFoundError

from datasites.wire.passphrase import passphrase
from datasites.wire.store_options import CERTIFICATE, PRIVATE_KEY
from policies.errors import InvalidInput, NotAllowed, StoreAway, WardroundError

_KNOWN = {
    CERTIFICATE,
    PRIVATE_KEY,
    "ca_file",
    "aws_endpoint",
    "aws_region",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_virtual_hosted_style_request",
}
# a store that sends us elsewhere is not followed
_RETRIES = urllib3.Retry(
    total=3, redirect=False, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504], allowed_methods=None
)
_TIMEOUT = urllib3.Timeout(connect=5, read=30)
_ONE_PART = 5 * 1024**3  # the most that S3 takes at once: an object is never sent in parts
_GONE = ("NoSuchKey", "NoSuchBucket", "ResourceNotFound")
_REFUSED = "CertificateRefused"  # what our front of the store says; see `datasites.onboarding.front`


class Client:
    """One store by its options. A certificate that is replaced on the disk is presented from the next request on."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        unknown = sorted(set(options) - _KNOWN)
        if unknown:
            raise InvalidInput(f"A store with client certificates has no option {', '.join(unknown)}.")
        parts, endpoint = urlsplit(url), urlsplit(str(options.get("aws_endpoint", "")))
        if parts.scheme != "s3" or endpoint.scheme != "https" or not endpoint.hostname or endpoint.path.strip("/"):
            raise InvalidInput(
                "A store with client certificates needs s3://BUCKET and aws_endpoint = https://HOST:PORT.",
                "Only S3 stores behind a front that asks for certificates have them.",
            )
        self.bucket, self._prefix = parts.netloc, parts.path.strip("/")
        self._endpoint, self._options = endpoint.netloc, dict(options)
        self._certificate = Path(str(options[CERTIFICATE])).expanduser()
        self._key = Path(str(options.get(PRIVATE_KEY, self._certificate))).expanduser()
        self._lock = threading.Lock()
        self._seen: tuple[tuple[int, int], ...] = ()
        self._made: Minio | None = None
        self._pool: urllib3.PoolManager | None = None
        self.minio()  # what cannot be used is told now

    def name(self, key: str) -> str:
        return f"{self._prefix}/{key}" if self._prefix else key

    def key(self, name: str) -> str:
        return name.removeprefix(f"{self._prefix}/") if self._prefix else name

    def minio(self) -> Minio:
        """Raises InvalidInput when certificate and key cannot be used, at the first call only."""
        with self._lock:
            try:
                seen = tuple((one.st_mtime_ns, one.st_ino) for one in map(_status, (self._certificate, self._key)))
                if self._made is None or seen != self._seen:
                    self._made, self._seen = self._connect(), seen
            except WardroundError:
                if self._made is None:
                    raise
                # a pair that is half replaced, or gone for a moment: the old one serves on
            return self._made

    def _connect(self) -> Minio:
        context, before = self.context(), self._pool
        pool = urllib3.PoolManager(ssl_context=context, retries=_RETRIES, timeout=_TIMEOUT, maxsize=8)
        self._pool = pool
        if before is not None:
            before.clear()  # connections that were opened with the certificate before
        return Minio(
            self._endpoint,
            access_key=str(self._options.get("aws_access_key_id", "")),
            secret_key=str(self._options.get("aws_secret_access_key", "")),
            region=str(self._options.get("aws_region", "us-east-1")),
            http_client=pool,
        )

    def context(self) -> ssl.SSLContext:
        """With the private authority alone, where one is named: no other's certificate passes for the store's."""
        authority = self._options.get("ca_file")
        try:
            made = ssl.create_default_context(cafile=str(Path(str(authority)).expanduser()) if authority else None)
        except (OSError, ssl.SSLError):
            raise InvalidInput(f"The store's ca_file {authority} holds no certificate that can be used.") from None
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            made.load_cert_chain(self._certificate, self._key, password=lambda: passphrase(self._key))
        except (OSError, ssl.SSLError):
            raise InvalidInput(
                f"The certificate {self._certificate} and its key cannot be used.",
                "Check the passphrase, and that the key is this certificate's.",
            ) from None
        return made


def _status(path: Path) -> Any:
    try:
        return path.stat()
    except OSError:
        raise InvalidInput(f"The certificate or key {path} cannot be read.", "Check that it is there.") from None


@dataclass(frozen=True)
class Got:
    """As obstore's answer to `get`, with `meta` and the bytes."""

    meta: dict[str, Any]
    response: Any

    def bytes(self) -> bytes:
        try:
            # as it was sent: what unpacks itself would not be held to any size
            return bytes(self.response.read(decode_content=False))
        except urllib3.exceptions.HTTPError as error:
            raise GenericError(type(error).__name__) from None
        finally:
            self.close()

    def close(self) -> None:
        self.response.close()
        self.response.release_conn()


class _Errors:
    """Turns what minio raises into what obstore would."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, S3Error) and error.code in _GONE:
            raise NotFoundError(error.code) from None
        if isinstance(error, InvalidResponseError) and getattr(error, "_code", 0) == 404:
            raise NotFoundError("NoSuchKey") from None  # rclone says text/xml, which minio does not read
        if isinstance(error, S3Error) and error.code == _REFUSED:
            raise StoreAway(
                f"The store refuses this machine's certificate ({error.message}).",
                "Ask the consortium for a new one, and see: wardround doctor",
            ) from None
        if isinstance(error, S3Error) and error.code == "AccessDenied":
            raise NotAllowed("The store does not allow this.", "See: wardround doctor") from None
        if isinstance(error, MinioException | InvalidResponseError | urllib3.exceptions.HTTPError | ValueError):
            raise GenericError(type(error).__name__) from None


def put(client: Client, key: str, data: bytes) -> None:
    with _Errors():
        client.minio().put_object(client.bucket, client.name(key), io.BytesIO(data), len(data), part_size=_ONE_PART)


def get(client: Client, key: str) -> Got:
    with _Errors():
        response = client.minio().get_object(client.bucket, client.name(key))
        size = response.headers.get("content-length", "")
        got = Got({"size": int(size) if size.isdecimal() else 0}, response)
        if not size.isdecimal():  # it could go on for ever
            got.close()
            raise GenericError("NoLength")
        return got


def head(client: Client, key: str) -> dict[str, Any]:
    with _Errors():
        found = client.minio().stat_object(client.bucket, client.name(key))
        return {"path": key, "size": found.size, "e_tag": found.etag, "last_modified": found.last_modified}


def list(client: Client, prefix: str, offset: str | None = None) -> Iterator[Any]:
    after = client.name(offset) if offset else None
    with _Errors():
        found = [
            {
                "path": client.key(str(one.object_name)),
                "size": one.size,
                "e_tag": one.etag,
                "last_modified": one.last_modified,
            }
            for one in client.minio().list_objects(
                client.bucket, client.name(prefix), recursive=True, start_after=after
            )
        ]
    yield found


def list_with_delimiter(client: Client, prefix: str) -> dict[str, Any]:
    with _Errors():
        found = client.minio().list_objects(client.bucket, client.name(prefix))
        return {"common_prefixes": [client.key(str(one.object_name)) for one in found if one.is_dir]}


def delete(client: Client, key: str) -> None:
    with _Errors():
        client.minio().remove_object(client.bucket, client.name(key))
