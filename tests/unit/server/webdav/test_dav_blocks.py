"""In what pieces a file leaves."""

from __future__ import annotations

from server.webdav.dav_server import DavApplication
from server.webdav.environ import environ_of
from server.webdav.request import DavRequest
from storage.files.path import VirtualPath
from tests.support.dav_site import Site


def test_a_file_leaves_in_large_pieces(site: Site) -> None:
    """At least 256 KiB each: every piece is a turn of a thread (WsgiDAV's are 8 KiB), and no more than a MiB."""
    anna = site.anna
    anna.put("/x", bytes(3 * 1024 * 1024))
    scope = {"method": "GET", "http_version": "1.1", "scheme": "https", "headers": []}
    request = DavRequest(
        anna.workspace, VirtualPath.parse("/x"), anna.name, anna.store.locks, anna.store.properties, anna.turns
    )
    answer = DavApplication(anna.store.locks)(environ_of(scope, request), lambda *_: None)
    sizes = [len(piece) for piece in answer]

    assert sum(sizes) == 3 * 1024 * 1024
    assert max(sizes) <= 1024 * 1024
    assert all(size >= 256 * 1024 for size in sizes if size)
