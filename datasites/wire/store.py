"""The object store that all participants share: a folder, memory, or any S3, GCS or Azure bucket, through obstore.

Nobody needs to trust it. It is only ever asked to put, get, list and delete.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import obstore
from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError
from obstore.store import from_url

from datasites.wire.calls import PROCESS, Calls
from datasites.wire.parts import MOST_INDEX, PART_BYTES, HalfRead, Index, folder
from datasites.wire.spool import MEMORY, Buffer, Spool
from datasites.wire.store_options import CERTIFICATE, resolved
from policies.errors import InvalidInput, NotAllowed, StoreAway

DEFAULT_MAX_BYTES = 256 * 1024 * 1024
# what asks the store tries again itself, and must not be kept from other work (a revocation) for minutes
_RETRIES = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
_LOCAL = ("file://", "memory://")
_SCHEMES = (*_LOCAL, "s3://", "gs://", "az://")


@functools.lru_cache(maxsize=64)
def _open(url: str, options: str) -> Any:
    # One obstore object per process and address: an in-memory store lives exactly as long as it does.
    kwargs: dict[str, Any] = {"mkdir": True} if url.startswith("file://") else {}
    settings = json.loads(options)
    if CERTIFICATE in settings:
        from datasites.wire import certified  # its client is imported by those who need it

        return certified.Client(url, settings)
    client = settings.pop("client_options", None)
    if client:
        kwargs["client_options"] = client
    if settings:
        kwargs["config"] = settings
    if not url.startswith(_LOCAL):
        kwargs["retry_config"] = _RETRIES
    return from_url(url, **kwargs)


@contextmanager
def _plain_errors(doing: str) -> Iterator[None]:
    try:
        yield
    except BaseError as error:
        kind = NotAllowed if isinstance(error, PermissionDeniedError) else StoreAway
        # the library's text may hold a URL with credentials, so only its type is told
        raise kind(
            f"The store could not {doing} ({type(error).__name__}).",
            "Check the store's address, credentials and network; nothing was lost, trying again is safe.",
        ) from None
    except OSError as error:
        raise StoreAway(f"The store could not {doing} ({error.strerror or type(error).__name__}).") from None


class Store:
    """Bytes under names (see `keys`). All methods raise Unavailable when the store cannot be used.

    Large objects travel in parts (see `parts`), which a cut-off transfer has to send or read only once.
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
        self._api: Any = obstore
        if CERTIFICATE in (options or {}):
            from datasites.wire import certified

            self._api = certified
        self.calls = Calls()
        self._in_parts: set[str] = set()  # names that this process has met with parts
        self._half_read = HalfRead()

    @property
    def remote(self) -> bool:
        """Whether a look into it goes over a network, and may cost money."""
        return not self.url.startswith(_LOCAL)

    def put(self, key: str, data: Buffer) -> None:
        """Writes the whole object at once; a reader sees the old bytes or the new ones, never a part."""
        if len(data) > PART_BYTES:
            self._put_in_parts(key, data)
            return
        self._put(key, bytes(data))
        if key in self._in_parts:
            self._drop_parts(key)

    def get(self, key: str, max_bytes: int = DEFAULT_MAX_BYTES) -> bytes | None:
        """The object, or None. Raises InvalidInput when it is larger than `max_bytes`, without downloading it."""
        found = self.fetch(key, max_bytes, MEMORY)
        return None if found is None else bytes(found)

    def fetch(self, key: str, max_bytes: int, spool: Spool) -> Buffer | None:
        """The same, of an object that need not be in memory."""
        before: Index | None = None
        while True:
            found = self._get(key, max_bytes)
            index = Index.parse(found) if found is not None else None
            if index is None or index == before:
                return found if index is None else None
            self._in_parts.add(key)
            if index.size > max_bytes:
                raise _too_large(index.size, max_bytes)
            whole = self._half_read.read(key, index, self._get, spool.draft)
            if whole is not None:
                return whole
            before = index  # its parts may have been replaced meanwhile: then there is another index

    def exists(self, key: str) -> bool:
        self._count("head")
        with _plain_errors("be read"):
            try:
                self._api.head(self._store, key)
            except (NotFoundError, FileNotFoundError):
                return False
        return True

    def modified(self, key: str) -> datetime | None:
        """When the store wrote the object last, by the store's own clock; None where there is none."""
        self._count("head")
        with _plain_errors("be read"):
            try:
                found: datetime = self._api.head(self._store, key)["last_modified"]
            except (NotFoundError, FileNotFoundError):
                return None
        return found

    def names(self, prefix: str, after: str | None = None) -> list[str]:
        """Names below the folder `prefix`, sorted; only those that sort behind `after`, if given."""
        return sorted(meta["path"] for meta in self._listed(prefix, after))

    def versions(self, prefix: str, after: str | None = None) -> list[tuple[str, str]]:
        """As `names`, each with a tag that is another one when other bytes were put there."""
        found = sorted(self._listed(prefix, after), key=lambda meta: meta["path"])
        return [(meta["path"], f"{meta['e_tag']} {meta['size']} {meta['last_modified']}") for meta in found]

    def ages(self, prefix: str) -> list[tuple[str, datetime]]:
        """As `names`, each with when it was written last, by the store's own clock."""
        return sorted((meta["path"], meta["last_modified"]) for meta in self._listed(prefix))

    def parts(self, key: str) -> set[str]:
        """Names of the parts that the object under `key` consists of; empty for one in one piece, or none."""
        try:
            index = Index.parse(self._get(key, MOST_INDEX) or b"")
        except InvalidInput:  # it is larger than an index
            return set()
        return {name for name, _, _ in index.parts(key)} if index else set()

    def clock(self, key: str) -> datetime:
        """The store's own time, by which `ages` are to be judged; writes an empty object under `key` to learn it."""
        self.put(key, b"")
        return self.modified(key) or datetime.now(UTC)

    def folders(self, prefix: str) -> list[str]:
        """Last components of the folders directly below `prefix`, sorted, as spelt in the store."""
        with _plain_errors("be listed"):
            found = self._api.list_with_delimiter(self._store, f"{prefix}/")["common_prefixes"]
        self._count("list", names=len(found))
        return sorted(str(path).rstrip("/").rsplit("/", 1)[-1] for path in found)

    def delete(self, *keys: str) -> None:
        """Deletes one by one, so that what is already gone stops nothing on any backend."""
        for key in keys:
            self._delete(key)
            if key in self._in_parts:
                self._drop_parts(key)

    def _put(self, key: str, data: bytes) -> None:
        self._count("put", sent=len(data))
        with _plain_errors("be written"):
            self._api.put(self._store, key, data)

    def _get(self, key: str, max_bytes: int) -> bytes | None:
        with _plain_errors("be read"):
            try:
                result = self._api.get(self._store, key)
                size = result.meta["size"]
                if size <= max_bytes:
                    data = bytes(result.bytes())
                    self._count("get", received=len(data))
                    return data
                self._count("get")
                if self._api is not obstore:
                    result.close()
            except (NotFoundError, FileNotFoundError):
                self._count("get")
                return None
        raise _too_large(size, max_bytes)

    def _put_in_parts(self, key: str, data: Buffer) -> None:
        index, there = Index.of(data), self._sizes(folder(key))
        for name, start, size in index.parts(key):
            if there.pop(name, None) != size:
                self._put(name, bytes(data[start : start + size]))
        self._put(key, index.encode())
        for name in there:  # of what lay there before
            self._delete(name)
        self._in_parts.add(key)

    def _drop_parts(self, key: str) -> None:
        """Deletes the parts of what lay under `key`."""
        for name in self._sizes(folder(key)):
            self._delete(name)

    def _sizes(self, prefix: str) -> dict[str, int]:
        return {meta["path"]: meta["size"] for meta in self._listed(prefix)}

    def _listed(self, prefix: str, after: str | None = None) -> list[Any]:
        found: list[Any] = []
        with _plain_errors("be listed"), suppress(NotFoundError, FileNotFoundError):
            found = [meta for batch in self._api.list(self._store, f"{prefix}/", offset=after) for meta in batch]
        self._count("list", names=len(found))
        return found

    def _count(self, kind: str, sent: int = 0, received: int = 0, names: int = 0) -> None:
        for calls in (self.calls, PROCESS):
            calls.count(kind, sent, received, names)

    def _delete(self, key: str) -> None:
        self._count("delete")
        with _plain_errors("delete an object"):
            try:
                self._api.delete(self._store, key)
            except (NotFoundError, FileNotFoundError):
                return


def _too_large(size: int, max_bytes: int) -> InvalidInput:
    return InvalidInput(f"An object in the store has {size:,} bytes; at most {max_bytes:,} are allowed.")
