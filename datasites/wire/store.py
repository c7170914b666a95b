"""The object store that all participants share: a folder, memory, or any S3, GCS or Azure bucket, through obstore.

Nobody needs to trust it. It is only ever asked to put, get, list and delete.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import from_url

from datasites.wire.store_options import resolved
from policies.errors import InvalidInput, Unavailable

DEFAULT_MAX_BYTES = 256 * 1024 * 1024
# what asks the store tries again itself, and must not be kept from other work (a revocation) for minutes
_RETRIES = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
_SCHEMES = ("file://", "memory://", "s3://", "gs://", "az://")


class StoreAway(Unavailable):
    """The store cannot be used now."""


@functools.lru_cache(maxsize=64)
def _open(url: str, options: str) -> Any:
    # One obstore object per process and address: an in-memory store lives exactly as long as it does.
    kwargs: dict[str, Any] = {"mkdir": True} if url.startswith("file://") else {}
    settings = json.loads(options)
    client = settings.pop("client_options", None)
    if client:
        kwargs["client_options"] = client
    if settings:
        kwargs["config"] = settings
    if not url.startswith(("file://", "memory://")):
        kwargs["retry_config"] = _RETRIES
    return from_url(url, **kwargs)


@contextmanager
def _plain_errors(doing: str) -> Iterator[None]:
    try:
        yield
    except BaseError as error:
        # the library's text may hold a URL with credentials, so only its type is told
        raise StoreAway(
            f"The store could not {doing} ({type(error).__name__}).",
            "Check the store's address, credentials and network; nothing was lost, trying again is safe.",
        ) from None
    except OSError as error:
        raise StoreAway(f"The store could not {doing} ({error.strerror or type(error).__name__}).") from None


class Store:
    """Bytes under names (see `keys`). All methods raise Unavailable when the store cannot be used.

    options: as obstore takes them, and those of `store_options`, which name files with keys and certificates.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        if not url.startswith(_SCHEMES):
            raise InvalidInput(
                f"The store address {url.split('@')[-1]!r} is not understood.",
                f"Use one that starts with {', '.join(_SCHEMES)}.",
            )
        self.url = url
        try:
            self._store = _open(url, json.dumps(resolved(options or {}), sort_keys=True))
        except (BaseError, ValueError, TypeError, OSError) as error:
            raise InvalidInput(
                f"The store could not be opened ({type(error).__name__}).", "Check its address and options."
            ) from None

    def put(self, key: str, data: bytes) -> None:
        """Writes the whole object at once; a reader sees the old bytes or the new ones, never a part."""
        with _plain_errors("be written"):
            obstore.put(self._store, key, data)

    def get(self, key: str, max_bytes: int = DEFAULT_MAX_BYTES) -> bytes | None:
        """The object, or None. Raises InvalidInput when it is larger than `max_bytes`, without downloading it."""
        with _plain_errors("be read"):
            try:
                result = obstore.get(self._store, key)
                size = result.meta["size"]
                if size <= max_bytes:
                    return bytes(result.bytes())
            except (NotFoundError, FileNotFoundError):
                return None
        raise InvalidInput(f"An object in the store has {size:,} bytes; at most {max_bytes:,} are allowed.")

    def exists(self, key: str) -> bool:
        with _plain_errors("be read"):
            try:
                obstore.head(self._store, key)
            except (NotFoundError, FileNotFoundError):
                return False
        return True

    def names(self, prefix: str, after: str | None = None) -> list[str]:
        """Names below the folder `prefix`, sorted; only those that sort behind `after`, if given."""
        with _plain_errors("be listed"):
            try:
                batches = obstore.list(self._store, f"{prefix}/", offset=after)
                return sorted(meta["path"] for batch in batches for meta in batch)
            except (NotFoundError, FileNotFoundError):
                return []

    def versions(self, prefix: str, after: str | None = None) -> list[tuple[str, str]]:
        """As `names`, each with a tag that is another one when other bytes were put there."""
        with _plain_errors("be listed"):
            try:
                batches = obstore.list(self._store, f"{prefix}/", offset=after)
                found = sorted((meta for batch in batches for meta in batch), key=lambda meta: meta["path"])
            except (NotFoundError, FileNotFoundError):
                return []
        return [(meta["path"], f"{meta['e_tag']} {meta['size']} {meta['last_modified']}") for meta in found]

    def folders(self, prefix: str) -> list[str]:
        """Last components of the folders directly below `prefix`, sorted, as spelt in the store."""
        with _plain_errors("be listed"):
            found = obstore.list_with_delimiter(self._store, f"{prefix}/")["common_prefixes"]
            return sorted(str(path).rstrip("/").rsplit("/", 1)[-1] for path in found)

    def delete(self, *keys: str) -> None:
        """Deletes one by one, so that what is already gone stops nothing on any backend."""
        with _plain_errors("delete an object"):
            for key in keys:
                try:
                    obstore.delete(self._store, key)
                except (NotFoundError, FileNotFoundError):
                    continue
