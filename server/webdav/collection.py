"""A directory as WsgiDAV's request model sees it."""

from __future__ import annotations

from wsgidav.dav_provider import DAVCollection

from server.webdav.places import place_of
from server.webdav.request import Environ, request_of
from server.webdav.urls import href_of
from storage.files.api import Stat
from storage.files.path import VirtualPath


class DavDirectory(DAVCollection):  # type: ignore[misc]  # wsgidav is untyped
    """One existing directory of the user's tree."""

    def __init__(self, path: VirtualPath, stat: Stat, environ: Environ) -> None:
        super().__init__("/" if path.is_root else f"{path}/", environ)
        self.place = path
        self.stat = stat

    def get_last_modified(self) -> float:
        """Unix seconds."""
        return self.stat.modified_ns / 1e9

    def get_ref_url(self) -> str:
        """The key of locks: the same for everybody who sees this directory, under whatever path."""
        return place_of(request_of(self.environ), self.place).reference

    def get_href(self) -> str:
        """The encoded URL path, with a slash at its end."""
        return href_of(self.place, is_directory=True)

    def get_member_names(self) -> list[str]:
        """Names in the directory."""
        return [entry.name for entry in request_of(self.environ).workspace.scan(self.place, committed=True)]

    def create_collection(self, name: str) -> None:
        """Make a directory (MKCOL); what a removed one of this name had as properties is forgotten."""
        request = request_of(self.environ)
        path = self.place.child(name)
        request.workspace.mkdir(path)
        place = place_of(request, path)
        request.properties.forget(place.tree, place.key)
