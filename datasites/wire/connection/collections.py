"""Mock twins: Syft's public dataset collections. They hold no patient's data and are stored in clear."""

from __future__ import annotations

import json
import re
from typing import Any

from syft.sync.connections.base_connection import FileCollection

from datasites.wire import keys, limits
from datasites.wire.connection.base import Wiring
from policies.errors import InvalidInput, Refused

_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,120}")


def _folder(owner: str, prefix: str, tag: str, content_hash: str) -> str:
    return f"{keys.collections(owner)}/{keys.encode(f'{prefix}_{tag}_{content_hash}')}"


def _described(wiring: Wiring, owner: str, prefix: str) -> list[FileCollection]:
    found = []
    for name in wiring.store.folders(keys.collections(owner)):
        folder = f"{keys.collections(owner)}/{name}"
        try:
            meta = json.loads(wiring.store.get(f"{folder}/.collection.json", limits.PUBLIC_BYTES) or b"{}")
            tag, content_hash = str(meta["tag"]), str(meta["content_hash"])
        except (ValueError, KeyError, TypeError, RecursionError, InvalidInput):
            continue
        if meta.get("prefix") == prefix and _FILE.fullmatch(tag):
            shared = wiring.store.exists(f"{folder}/.any")
            found.append(
                FileCollection(folder_id=folder, tag=tag, content_hash=content_hash, has_any_permission=shared)
            )
    return found


class Collections:
    def owner_create_collection_folder(self: Wiring, prefix: str, tag: str, content_hash: str, owner_email: str) -> str:
        folder = _folder(self.email, prefix, tag, content_hash)
        meta = {"prefix": prefix, "tag": tag, "content_hash": content_hash}
        self.store.put(f"{folder}/.collection.json", json.dumps(meta).encode())
        return folder

    def owner_tag_collection_as_any(self: Wiring, prefix: str, tag: str, content_hash: str) -> None:
        self.store.put(f"{_folder(self.email, prefix, tag, content_hash)}/.any", b"")

    def owner_share_collection(self: Wiring, prefix: str, tag: str, content_hash: str, users: list[str]) -> None:
        for user in users:
            self.store.put(f"{_folder(self.email, prefix, tag, content_hash)}/acl/{keys.encode(user)}", b"")

    def owner_upload_collection_files(
        self: Wiring, prefix: str, tag: str, content_hash: str, files: dict[str, bytes]
    ) -> None:
        """Raises Refused for a private collection: real tables are never uploaded, whatever Syft is asked to do."""
        if "private" in prefix:
            raise Refused("Private data is never uploaded.", "Publish the mock twin only.")
        for name, data in files.items():
            base = keys.encode(name.rsplit("/", 1)[-1])
            self.store.put(f"{_folder(self.email, prefix, tag, content_hash)}/data/{base}", data)

    def owner_list_all_collections_with_permissions(self: Wiring, prefix: str) -> list[FileCollection]:
        return _described(self, self.email, prefix)

    def owner_list_collections(self: Wiring, prefix: str) -> list[str]:
        return [collection.tag for collection in _described(self, self.email, prefix)]

    def owner_delete_collection(self: Wiring, prefix: str, tag: str) -> None:
        for collection in _described(self, self.email, prefix):
            if collection.tag == tag:
                self.store.delete(*self.store.names(collection.folder_id))

    def watcher_list_collections(self: Wiring, prefix: str) -> list[dict[str, str]]:
        found = []
        for owner in self.peers.all():
            if owner == self.email:
                continue
            for collection in _described(self, owner, prefix):
                if self.store.exists(f"{collection.folder_id}/acl/{keys.encode(self.email)}"):
                    described = {"tag": collection.tag, "content_hash": collection.content_hash}
                    found.append({"owner_email": owner, **described})
        return found

    def watcher_get_collection_file_metadatas(
        self: Wiring, prefix: str, tag: str, content_hash: str, owner_email: str
    ) -> list[dict[str, str]]:
        if owner_email == self.email:
            return []  # Syft would restore an owner's own files from the store, which could then plant some
        names = self.store.names(f"{_folder(owner_email, prefix, tag, content_hash)}/data")
        # the store is not trusted: a name with a slash in it would be written outside the collection
        return [{"file_id": n, "file_name": keys.last(n)} for n in names if _FILE.fullmatch(keys.last(n))]

    def watcher_download_collection_file(self: Wiring, file_id: str) -> bytes:
        """Too large a file comes back empty and is then refused with its dataset: it must not stop the whole sync."""
        try:
            return self.store.get(file_id, limits.TWIN_BYTES) or b""
        except InvalidInput:
            return b""

    def watcher_download_collection(self, prefix: str, tag: str, content_hash: str, owner_email: str) -> dict[str, Any]:
        listed = self.watcher_get_collection_file_metadatas(prefix, tag, content_hash, owner_email)  # type: ignore[misc]
        return {f["file_name"]: self.watcher_download_collection_file(f["file_id"]) for f in listed}  # type: ignore[misc]
