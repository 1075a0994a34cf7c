"""PUT: whole or not at all, and only over what the client knows."""

from __future__ import annotations

import pytest
from wsgidav.dav_error import DAVError

from server.webdav.environ import environ_of
from server.webdav.request import DavRequest
from server.webdav.uploads import Put, begin
from storage.database.store import Store
from storage.files.errors import StorageError
from storage.files.memory import MemoryFilesystem
from storage.files.path import VirtualPath
from tests.support.dav_site import DavUser, Site


def begun(user: DavUser, declared: int | None, headers: dict[str, str] | None = None) -> Put:
    """An upload to /x whose body is still to come."""
    scope = {
        "method": "PUT",
        "scheme": "https",
        "http_version": "1.1",
        "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
    }
    locks, properties = user.store.locks, user.store.properties
    request = DavRequest(user.workspace, VirtualPath.parse("/x"), user.name, locks, properties, user.turns)
    return begin(request, environ_of(scope, request), declared)


def send(put: Put, body: bytes) -> None:
    """The whole body and its proper end."""
    put.write(body)
    put.finish()


@pytest.mark.parametrize("old", [None, b"old"])
@pytest.mark.parametrize(
    ("declared", "headers", "body"),
    [
        (10, {}, b"short"),
        (3, {}, b"too long"),
        (None, {"X-Expected-Entity-Length": "10"}, b"short"),
        (None, {"X-Expected-Entity-Length": "3"}, b"too long"),
        (0, {}, b"x"),
    ],
)
def test_a_body_of_another_length_changes_nothing(
    site: Site, old: bytes | None, declared: int | None, headers: dict[str, str], body: bytes
) -> None:
    """WsgiDAV reports 201 for it and replaces the old file."""
    if old is not None:
        site.anna.put("/x", old)
    put = begun(site.anna, declared, headers)
    with pytest.raises(DAVError) as refused:
        send(put, body)
    put.abort()

    assert refused.value.value == 400
    assert (old is not None) == site.anna.exists("/x")
    assert old is None or old == site.anna.get("/x")


def test_nothing_is_seen_before_the_commit(site: Site) -> None:
    """Neither by the session itself nor by a listing; the old bytes are served."""
    put = begun(site.anna, 3)
    put.write(b"new")
    assert site.anna.request("GET", "/x").status == 404
    assert site.anna.request("HEAD", "/x").status == 404
    assert "/dav/x" not in site.anna.request("PROPFIND", "/", {"Depth": "1"}).hrefs()
    put.finish()
    assert site.anna.request("GET", "/x").body == b"new"

    second = begun(site.anna, 5)
    second.write(b"newer")
    assert site.anna.request("GET", "/x").body == b"new"
    second.abort()
    assert site.anna.get("/x") == b"new"


def test_every_write_changes_the_entity_tag(site: Site) -> None:
    """Also of the same size within one second; WsgiDAV's tag would stay, and lost updates would pass."""
    tags = [site.anna.request("PUT", "/x", body=body).headers["etag"] for body in ("a", "b", "b")]

    assert len(set(tags)) == 3
    assert not any(tag.startswith("W/") for tag in tags)
    assert tags[-1] == site.anna.request("HEAD", "/x").headers["etag"]
    assert site.anna.request("PUT", "/x", {"If-Match": tags[1]}, "c").status == 412
    assert site.anna.request("PUT", "/x", {"If-Match": tags[2]}, "c").status == 204


def test_if_match_does_not_bring_a_deleted_file_back(site: Site) -> None:
    """412: the client believed that it was there."""
    tag = site.anna.request("PUT", "/x", body="1").headers["etag"]
    site.anna.request("DELETE", "/x")

    assert site.anna.request("PUT", "/x", {"If-Match": tag}, "2").status == 412
    assert site.anna.request("PUT", "/x", {"If-Match": "*"}, "2").status == 412
    assert not site.anna.exists("/x")


def test_a_file_that_appears_during_an_upload_is_kept(site: Site) -> None:
    """If-None-Match: * means create; whoever is first stays."""
    header = {"If-None-Match": "*"}

    response = site.ben.request("PUT", "/shared/x", header, "ben", lambda: site.anna.put("/shared/x", b"anna"))

    assert response.status == 412
    assert site.ben.get("/shared/x") == b"anna"
    assert site.ben.request("PUT", "/shared/x", header, "ben").status == 412
    assert site.ben.request("PUT", "/shared/y", header, "ben").status == 201


def test_a_file_that_changes_during_an_upload_fails_if_match(site: Site) -> None:
    """The condition is judged again when the body is complete."""
    site.anna.put("/shared/x", b"1")
    tag = site.ben.request("HEAD", "/shared/x").headers["etag"]

    response = site.ben.request(
        "PUT", "/shared/x", {"If-Match": tag}, "ben", lambda: site.anna.put("/shared/x", b"anna")
    )

    assert response.status == 412
    assert site.ben.get("/shared/x") == b"anna"


def test_an_upload_goes_on_at_the_end_of_the_file(site: Site) -> None:
    """Content-Range: the last part is added; a wrong place, length or form is 400, and nothing changes."""
    site.anna.put("/x", b"01234")

    for header, body in [("bytes 3-6/*", "3456"), ("bytes 5-6/*", "567"), ("bytes 5-6/99", "56"), ("bytes x", "5")]:
        assert site.anna.request("PUT", "/x", {"Content-Range": header}, body).status == 400
    assert site.anna.get("/x") == b"01234"
    assert site.anna.request("PUT", "/x", {"Content-Range": "bytes 5-9/10"}, "56789").status == 204
    assert site.anna.get("/x") == b"0123456789"
    assert site.anna.request("PUT", "/y", {"Content-Range": "bytes 0-1/2"}, "ab").status == 201
    assert site.anna.request("PUT", "/z", {"Content-Range": "bytes 5-6/7"}, "ab").status == 400


@pytest.mark.parametrize("value", ["1000000000", "1000000000.25"])
def test_the_time_of_the_client_s_file_is_kept(site: Site, value: str) -> None:
    """As ownCloud's clients and rclone send it."""
    response = site.anna.request("PUT", "/x", {"X-OC-Mtime": value}, "1")

    assert response.headers["x-oc-mtime"] == "accepted"
    assert site.anna.workspace.stat(VirtualPath.parse("/x")).modified_ns // 10**9 == 1_000_000_000


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/d", {}, 405),
        ("/", {}, 405),
        ("/shared", {}, 405),
        ("/none/x", {}, 409),
        ("/file/x", {}, 409),
        ("/x", {"Content-Encoding": "gzip"}, 415),
        ("/x", {"X-OC-Mtime": "yesterday"}, 400),
        ("/x", {"X-OC-Mtime": "-5"}, 400),
        ("/x", {"X-OC-Mtime": "nan"}, 400),
        ("/x", {"If": "nonsense"}, 400),
        ("/x", {"If": "(<urn:unknown>)"}, 412),
        ("/" + "n" * 256, {}, 414),
    ],
)
def test_impossible_uploads_are_refused_before_the_body(
    site: Site, path: str, headers: dict[str, str], status: int
) -> None:
    """Each with its own status, and nothing is left."""
    site.anna.mkdir("/d")
    site.anna.put("/file", b"1")

    assert status == _status_of_begin(site.anna, path, headers)
    assert {"d", "file", "shared"} == site.anna.names("/")


def _status_of_begin(user: DavUser, path: str, headers: dict[str, str]) -> int:
    try:
        return user.request("PUT", path, headers, "1").status
    except StorageError as error:
        return {"storage.name_too_long": 414}[error.code]


def test_what_cannot_fit_is_refused_at_once(sqlite_store: Store) -> None:
    """507 before the client sent a byte."""
    user = DavUser(sqlite_store, "anna", MemoryFilesystem(), quota=1000)

    with pytest.raises(StorageError) as refused:
        begun(user, 2000)

    assert refused.value.code == "storage.quota"


def test_who_may_only_read_gets_403(sqlite_store: Store) -> None:
    """The right decides, not the protocol."""
    user = DavUser(sqlite_store, "anna", MemoryFilesystem(), preset="read-only")

    assert [user.request(method, "/x", body="").status for method in ("PUT", "MKCOL")] == [403, 403]
