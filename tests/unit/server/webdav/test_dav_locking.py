"""Locks: between users, workers, depths and names that do not exist yet (RFC 4918 sections 6, 7 and 9.10)."""

from __future__ import annotations

import pytest

from storage.database import locks
from storage.database.store import Store, open_store
from storage.files.errors import NoSpace
from storage.files.memory import MemoryFilesystem
from storage.files.workspace import Workspace
from tests.support.dav_site import DavUser, Site, lock_body


def test_users_never_block_each_other_s_homes(site: Site) -> None:
    """The same URL is another place for another user: keys of locks hold the home."""
    site.anna.put("/x", b"1")
    site.ben.put("/x", b"1")
    site.anna.lock("/x")

    assert site.ben.request("PUT", "/x", body="2").status == 204
    assert site.ben.request("LOCK", "/x", {"Depth": "0"}, lock_body()).status == 200


def test_users_do_block_each_other_in_a_shared_folder(site: Site) -> None:
    """Whoever holds the lock and sends its token may write; nobody else may."""
    site.anna.put("/shared/x", b"1")
    token = site.anna.lock("/shared/x")

    refused = site.ben.request("PUT", "/shared/x", body="2")
    assert refused.status == 423
    assert b"<" in refused.body
    assert b"/dav/shared/x" in refused.body
    assert site.ben.request("PUT", "/shared/x", {"If": f"(<{token}>)"}, "2").status == 423
    assert site.anna.request("PUT", "/shared/x", body="2").status == 423
    assert site.anna.request("PUT", "/shared/x", {"If": f"(<{token}>)"}, "2").status == 204


def test_a_lock_of_another_worker_counts(site: Site, sqlite_url: str) -> None:
    """Two processes with one database grant no conflicting locks."""
    site.anna.put("/shared/x", b"1")
    site.anna.lock("/shared/x")
    other_worker = open_store(sqlite_url)
    try:
        ben = DavUser(other_worker, "ben", MemoryFilesystem())
        ben.put("/shared/x", b"1")

        assert ben.request("LOCK", "/shared/x", {"Depth": "0"}, lock_body()).status == 423
        assert ben.request("PUT", "/shared/x", body="2").status == 423
    finally:
        other_worker.close()


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [("shared", "shared", 200), ("shared", "exclusive", 423), ("exclusive", "shared", 423)],
)
def test_only_shared_locks_stand_beside_each_other(site: Site, first: str, second: str, status: int) -> None:
    """RFC 4918 6.2."""
    site.anna.put("/shared/x", b"1")
    site.anna.lock("/shared/x", scope=first)

    assert status == site.ben.request("LOCK", "/shared/x", {"Depth": "0"}, lock_body(second)).status


def test_one_shared_lock_of_one_s_own_is_enough_to_write(site: Site) -> None:
    """Two who share a lock may both write, each with the own token."""
    site.anna.put("/shared/x", b"1")
    site.anna.lock("/shared/x", scope="shared")
    token = site.ben.lock("/shared/x", scope="shared")

    assert site.ben.request("PUT", "/shared/x", {"If": f"(<{token}>)"}, "2").status == 204


def test_a_deep_lock_covers_what_is_and_what_comes(site: Site) -> None:
    """Depth infinity: members old and new; a lock below it conflicts."""
    site.anna.mkdir("/shared/d")
    site.anna.put("/shared/d/old", b"1")
    token = site.anna.lock("/shared/d", depth="infinity")

    for method, path in [("PUT", "/shared/d/old"), ("PUT", "/shared/d/new"), ("DELETE", "/shared/d/old")]:
        assert site.ben.request(method, path).status == 423
    assert site.ben.request("MKCOL", "/shared/d/sub").status == 423
    assert site.ben.request("LOCK", "/shared/d/old", {"Depth": "0"}, lock_body()).status == 423
    assert site.anna.request("PUT", "/shared/d/new", {"If": f"</dav/shared/d> (<{token}>)"}, "1").status == 201


def test_a_flat_lock_on_a_folder_guards_its_list_of_names(site: Site) -> None:
    """RFC 4918 7.4: adding and removing members needs the token; changing a member does not."""
    site.anna.mkdir("/shared/d")
    site.anna.put("/shared/d/x", b"1")
    site.anna.lock("/shared/d", depth="0")

    assert site.ben.request("PUT", "/shared/d/x", body="2").status == 204
    assert site.ben.request("PUT", "/shared/d/new", body="2").status == 423
    assert site.ben.request("DELETE", "/shared/d/x").status == 423
    assert site.ben.request("MOVE", "/shared/d/x", {"Destination": "/dav/y"}).status == 423
    assert site.ben.request("COPY", "/shared/d/x", {"Destination": "/dav/shared/d/y"}).status == 423


def test_a_deep_lock_is_refused_over_somebody_s_lock_below(site: Site) -> None:
    """The answer names the lock that is in the way."""
    site.anna.mkdir("/shared/d")
    site.anna.put("/shared/d/x", b"1")
    site.anna.lock("/shared/d/x")

    response = site.ben.request("LOCK", "/shared/d", {"Depth": "infinity"}, lock_body())

    assert response.status == 423
    assert b"no-conflicting-lock" in response.body
    assert b"/dav/shared/d/x" in response.body


def test_a_lock_on_a_new_name_makes_an_empty_file(site: Site) -> None:
    """RFC 4918 7.3; Finder and Windows lock before they write."""
    response = site.anna.request("LOCK", "/new", {"Depth": "0"}, lock_body())

    assert response.status == 201
    assert site.anna.get("/new") == b""
    assert b"<D:lockroot><D:href>/dav/new</D:href></D:lockroot>" in response.body


def test_a_lock_that_is_refused_leaves_no_file(site: Site) -> None:
    """WsgiDAV makes the file first and asks then."""
    site.anna.mkdir("/shared/d")
    site.anna.lock("/shared/d", depth="infinity")

    assert site.ben.request("LOCK", "/shared/d/new", {"Depth": "0"}, lock_body()).status == 423
    assert set() == site.ben.names("/shared/d")


def test_a_file_that_cannot_be_made_leaves_no_lock(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk the name stays free."""

    def full(*_: object) -> None:
        raise NoSpace

    monkeypatch.setattr(Workspace, "open_writer", full)
    response = site.anna.request("LOCK", "/new", {"Depth": "0"}, lock_body())

    assert response.status == 507
    assert site.anna.store.locks.covering("home:anna", "/new") == []


def test_a_lock_ends_with_unlock_and_only_by_its_owner(site: Site) -> None:
    """The token alone is no right; quotes around it are optional, as Windows leaves them out."""
    site.anna.put("/shared/x", b"1")
    token = site.anna.lock("/shared/x")

    assert site.ben.request("UNLOCK", "/shared/x", {"Lock-Token": f"<{token}>"}).status == 403
    assert site.anna.request("UNLOCK", "/shared", {"Lock-Token": f"<{token}>"}).status == 409
    assert site.anna.request("UNLOCK", "/shared/x").status == 400
    assert site.anna.request("UNLOCK", "/shared/x", {"Lock-Token": token}).status == 204
    assert site.ben.request("PUT", "/shared/x", body="2").status == 204


def test_a_lock_is_refreshed_by_its_owner_and_its_token(site: Site) -> None:
    """An empty LOCK with the If header gives a new lease; another user's does not."""
    site.anna.put("/shared/x", b"1")
    token = site.anna.lock("/shared/x")
    header = {"If": f"(<{token}>)", "Timeout": "Second-1800"}

    assert b"<D:timeout>Second-1" in site.anna.request("LOCK", "/shared/x", header).body
    assert site.ben.request("LOCK", "/shared/x", header).status == 412
    assert site.anna.request("LOCK", "/shared/x", {"If": "(Not <urn:none>)"}).status == 412
    assert site.anna.request("LOCK", "/shared/x").status == 400


def test_the_owner_element_comes_back_as_it_was_sent(site: Site) -> None:
    """Clients recognise their own locks by it."""
    site.anna.put("/x", b"1")
    site.anna.lock("/x")

    found = site.anna.request("PROPFIND", "/x", {"Depth": "0"}).properties("/dav/x")["{DAV:}lockdiscovery"]

    assert found.findtext("{DAV:}activelock/{DAV:}owner/{DAV:}href") == "mailto:someone"
    assert found.findtext("{DAV:}activelock/{DAV:}depth") == "0"


@pytest.mark.parametrize(
    "body",
    [
        "<D:other xmlns:D='DAV:'/>",
        lock_body("strange"),
        lock_body().replace("<D:write/>", "<D:read/>"),
        lock_body().replace("mailto:someone", "x" * 5000),
    ],
)
def test_a_lock_that_makes_no_sense_is_refused(site: Site, body: str) -> None:
    """Unknown scopes and types are 400, an owner of kilobytes is 413; nothing is locked."""
    site.anna.put("/x", b"1")

    assert site.anna.request("LOCK", "/x", {"Depth": "0"}, body).status in {400, 413}
    assert site.anna.store.locks.covering("home:anna", "/x") == []


def test_who_may_not_write_may_not_lock(sqlite_store: Store) -> None:
    """A reader must not be able to keep writers out."""
    shared = MemoryFilesystem()
    writer, reader = DavUser(sqlite_store, "w", shared), DavUser(sqlite_store, "r", shared, preset="read-only")
    writer.put("/shared/x", b"1")

    assert reader.request("LOCK", "/shared/x", {"Depth": "0"}, lock_body()).status == 403
    assert reader.request("LOCK", "/shared/new", {"Depth": "0"}, lock_body()).status == 403
    assert not writer.exists("/shared/new")


def test_one_user_holds_only_so_many_locks(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table cannot be filled by one user."""
    monkeypatch.setattr(locks, "MAX_LOCKS_PER_USER", 2)
    site.anna.lock("/one")
    site.anna.lock("/two")

    assert site.anna.request("LOCK", "/x", {"Depth": "0"}, lock_body()).status == 507
    assert not site.anna.exists("/x")
    assert site.ben.request("LOCK", "/x", {"Depth": "0"}, lock_body()).status == 201


def test_a_lock_taken_during_an_upload_stops_its_commit(site: Site) -> None:
    """What was free when the body began to come may be locked when it ends."""
    site.anna.put("/shared/x", b"old")
    token: list[str] = []

    response = site.ben.request(
        "PUT", "/shared/x", body="new", meanwhile=lambda: token.append(site.anna.lock("/shared/x"))
    )

    assert response.status == 423
    assert site.anna.get("/shared/x") == b"old"


def test_locks_go_with_what_they_were_on(site: Site) -> None:
    """DELETE and MOVE end locks: the next file of this name starts free (RFC 4918 7.5, 9.9)."""
    site.anna.put("/shared/x", b"1")
    token = site.anna.lock("/shared/x")
    assert site.anna.request("DELETE", "/shared/x", {"If": f"(<{token}>)"}).status == 204
    site.anna.put("/shared/x", b"2")
    token = site.anna.lock("/shared/x")
    moved = site.anna.request("MOVE", "/shared/x", {"If": f"(<{token}>)", "Destination": "/dav/shared/y"})

    assert moved.status == 201
    assert site.ben.request("PUT", "/shared/x", body="3").status == 201
    assert site.ben.request("PUT", "/shared/y", body="3").status == 204


def test_depth_must_be_known(site: Site) -> None:
    """Depth 1 is nothing that a lock can have."""
    assert site.anna.request("LOCK", "/x", {"Depth": "1"}, lock_body()).status == 400
