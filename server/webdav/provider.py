"""The provider behind WsgiDAV's request model: the session's workspace and nothing else.

WsgiDAV's FilesystemProvider checks a real path and then opens it by name (advisories
CVE-2026-48099 and CVE-2026-55560); it is never used.
"""

from __future__ import annotations

from wsgidav.dav_provider import DAVProvider

from server.webdav.collection import DavDirectory
from server.webdav.locks import LockManager
from server.webdav.request import Environ, request_of, stat_or_none
from server.webdav.resource import DavFile
from server.webdav.urls import MOUNT
from storage.database.locks import LockTable
from storage.files.path import VirtualPath


class WorkspaceProvider(DAVProvider):  # type: ignore[misc]  # wsgidav is untyped
    """One for all users: whose tree is meant stands in each request's environ."""

    def __init__(self, locks: LockTable) -> None:
        super().__init__()
        self.set_mount_path(MOUNT)
        self.set_share_path("")
        self.lock_manager = LockManager(locks)  # set_lock_manager wants methods that nothing calls here

    def get_resource_inst(self, path: str, environ: Environ) -> DavFile | DavDirectory | None:
        """Give what is at a decoded path of the user's tree, or None. Raises StorageError."""
        virtual = VirtualPath.parse(path)
        stat = stat_or_none(request_of(environ).workspace, virtual)
        if stat is None:
            return None
        return DavDirectory(virtual, stat, environ) if stat.is_directory else DavFile(virtual, stat, environ)
