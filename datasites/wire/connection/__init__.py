"""Syft 0.10 over an object store, without monkeypatching.

Syft's only shipped transport is Google Drive. This is another `SyftboxPlatformConnection`; the declared methods of that
class and the undeclared ones that Syft calls on its connections are grouped by concern in this folder.
"""

from datasites.wire.connection.connection import ObjectStoreConnection, ObjectStoreConnectionConfig

__all__ = ["ObjectStoreConnection", "ObjectStoreConnectionConfig"]
