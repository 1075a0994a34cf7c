"""GET, HEAD, OPTIONS and MKCOL."""

from __future__ import annotations

import pytest

from server.webdav.dav_server import METHODS, DavApplication
from server.webdav.limits import READ_BLOCK
from storage.files.errors import StorageUnavailable
from storage.files.readers import SessionReader
from tests.support.dav_site import Site


def test_a_file_is_served_in_blocks(site: Site) -> None:
    """Whole, with length, tag, date and type."""
    data = bytes(range(256)) * (READ_BLOCK // 256 * 2 + 1)
    site.anna.put("/x.html", data)

    response = site.anna.request("GET", "/x.html")

    assert (200, data) == (response.status, response.body)
    assert str(len(data)) == response.headers["content-length"]
    assert response.headers["content-type"] == "text/html"


def test_an_empty_file_is_served(site: Site) -> None:
    """200 with no byte, not an error."""
    site.anna.put("/x", b"")

    response = site.anna.request("GET", "/x")

    assert (response.status, response.body, response.headers["content-length"]) == (200, b"", "0")


def test_ranges(site: Site) -> None:
    """206 with Content-Range; 416 names the size; If-Range of another version gives the whole."""
    site.anna.put("/x", b"0123456789")
    tag = site.anna.request("HEAD", "/x").headers["etag"]

    part = site.anna.request("GET", "/x", {"Range": "bytes=2-4"})
    assert (
        part.status,
        part.body,
        part.headers["content-range"],
        part.headers["content-length"],
    ) == (206, b"234", "bytes 2-4/10", "3")
    beyond = site.anna.request("GET", "/x", {"Range": "bytes=10-"})
    assert (beyond.status, beyond.headers["content-range"]) == (416, "bytes */10")
    assert site.anna.request("GET", "/x", {"Range": "bytes=2-", "If-Range": tag}).status == 206
    assert site.anna.request("GET", "/x", {"Range": "bytes=2-", "If-Range": '"other"'}).status == 200
    assert site.anna.request("GET", "/x", {"Range": "bytes=0-1,4-5"}).body == b"0123456789"


def test_head_says_what_get_would_and_sends_nothing(site: Site) -> None:
    """The same headers, no body; also for what is missing and for folders."""
    site.anna.put("/x", b"123")
    got, head = site.anna.request("GET", "/x"), site.anna.request("HEAD", "/x")

    assert got.headers == head.headers
    assert [site.anna.request("HEAD", path).body for path in ("/x", "/none", "/")] == [b"", b"", b""]
    assert [site.anna.request("HEAD", path).status for path in ("/x", "/none", "/")] == [200, 404, 200]


def test_a_known_version_is_not_sent_again(site: Site) -> None:
    """304 with the tag, without body and without a length."""
    site.anna.put("/x", b"123")
    tag = site.anna.request("HEAD", "/x").headers["etag"]

    response = site.anna.request("GET", "/x", {"If-None-Match": tag})

    assert (304, b"", tag) == (response.status, response.body, response.headers["etag"])
    assert "content-length" not in response.headers


def test_readers_are_closed(site: Site) -> None:
    """Also when a condition or a range ends the request: a session may have 256 open."""
    site.anna.put("/x", b"123")

    for _ in range(100):
        for headers in ({}, {"If-None-Match": "*"}, {"Range": "bytes=9-"}):
            assert site.anna.request("GET", "/x", headers).status != 503


def test_a_file_that_shrinks_breaks_the_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer bytes than announced must not look like the whole file: after the first byte only a break tells."""
    site.anna.put("/x", bytes(READ_BLOCK * 2))
    whole = SessionReader.read_at

    def shrunk(self: SessionReader, offset: int, size: int) -> bytes:
        return whole(self, offset, size) if offset == 0 else b""

    monkeypatch.setattr(SessionReader, "read_at", shrunk)

    with pytest.raises(StorageUnavailable):
        site.anna.request("GET", "/x")


def test_options_says_what_windows_and_finder_ask_for(site: Site) -> None:
    """Class 2 and MS-Author-Via, on any path."""
    for path in ("/", "/none/at/all"):
        headers = site.anna.request("OPTIONS", path).headers
        assert (headers["dav"], headers["ms-author-via"]) == ("1, 2", "DAV")
        assert set(METHODS) == set(headers["allow"].split(", "))


def test_mkcol(site: Site) -> None:
    """201; 405 on what exists; 409 without a parent; 415 with a body; 412 by condition."""
    assert site.anna.request("MKCOL", "/d").status == 201
    assert site.anna.request("MKCOL", "/d").status == 405
    assert site.anna.request("MKCOL", "/").status == 405
    assert site.anna.request("MKCOL", "/none/d").status == 409
    assert site.anna.request("MKCOL", "/e", body="<x/>").status == 415
    assert site.anna.request("MKCOL", "/e", {"If-Match": "*"}).status == 412
    assert {"d", "shared"} == site.anna.names("/")


def test_without_a_signed_in_user_nothing_is_served(site: Site) -> None:
    """WsgiDAV would go on as "anonymous"."""
    application = DavApplication(site.anna.store.locks)

    with pytest.raises(KeyError):
        next(application({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda *_: None))


def test_errors_show_no_versions_and_no_insides(site: Site) -> None:
    """A plain sentence."""
    response = site.anna.request("GET", "/none")

    assert response.body == b"No such file or directory.\n"
