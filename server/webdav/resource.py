"""A file as WsgiDAV's request model sees it. Facts come from one stat; bytes never pass here (see reading, uploads)."""

from __future__ import annotations

from typing import Any, NoReturn

from wsgidav.dav_error import DAVError
from wsgidav.dav_provider import DAVNonCollection

from server.webdav.guards import etag_of
from server.webdav.places import place_of
from server.webdav.request import Environ, request_of
from server.webdav.urls import href_of
from storage.files.api import Stat
from storage.files.path import VirtualPath


class DavFile(DAVNonCollection):  # type: ignore[misc]  # wsgidav is untyped
    """One existing file of the user's tree."""

    def __init__(self, path: VirtualPath, stat: Stat, environ: Environ) -> None:
        super().__init__(str(path), environ)
        self.place = path
        self.stat = stat

    def get_content_length(self) -> int:
        """Bytes in the file."""
        return self.stat.size

    def get_etag(self) -> str | None:
        """The strong entity tag, without quotes."""
        return etag_of(self.stat)

    def support_etag(self) -> bool:
        """Files have entity tags."""
        return True

    def support_ranges(self) -> bool:
        """Single ranges are served."""
        return True

    def get_last_modified(self) -> float:
        """Unix seconds."""
        return self.stat.modified_ns / 1e9

    def get_ref_url(self) -> str:
        """The key of locks: the same for everybody who sees this file, under whatever path."""
        return place_of(request_of(self.environ), self.place).reference

    def get_href(self) -> str:
        """The encoded URL path."""
        return href_of(self.place, is_directory=False)

    def get_content(self) -> NoReturn:
        """Refused: GET is served by :mod:`server.webdav.reading`."""
        raise DAVError(403)

    def begin_write(self, *, content_type: Any = None) -> NoReturn:  # noqa: ARG002 - WsgiDAV's signature
        """Refused: PUT is served by :mod:`server.webdav.uploads`, which commits or aborts."""
        raise DAVError(403)
