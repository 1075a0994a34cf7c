"""What a session that may only read, or sees one folder twice, must not bring about."""

from __future__ import annotations

import pytest

from storage.database.store import Store
from storage.files.memory import MemoryFilesystem
from storage.files.mounts import Mount, MountTable, Rule
from storage.files.path import VirtualPath
from storage.files.permissions import ALL_RIGHTS, NO_RIGHTS
from storage.files.workspace import Workspace
from tests.support.dav_site import DavUser, Site, lock_body

PATCH = (
    '<D:propertyupdate xmlns:D="DAV:" xmlns:x="urn:x"><D:set><D:prop><x:color>indigo</x:color></D:prop></D:set>'
    "</D:propertyupdate>"
)


def reader_beside(owner: DavUser, name: str) -> DavUser:
    """The same shared folder for a session that may only read; ``name`` may be the owner's own."""
    shared = owner.workspace._state.access.table.find(VirtualPath(("shared",)))  # to mount the same one
    assert shared is not None
    assert isinstance(shared[0].filesystem, MemoryFilesystem)
    return DavUser(owner.store, name, shared[0].filesystem, preset="read-only")


def test_who_may_only_read_changes_no_property(site: Site) -> None:
    """Dead properties are content: a read-only grant or API key shows them and leaves them."""
    site.anna.put("/shared/plan", b"1")
    response = reader_beside(site.anna, "ben").request("PROPPATCH", "/shared/plan", body=PATCH)

    assert response.status == 403
    assert b"indigo" not in site.anna.request("PROPFIND", "/shared/plan", {"Depth": "0"}).body


def test_a_drop_box_takes_properties_of_what_was_dropped_by_the_same_session(sqlite_store: Store) -> None:
    """Windows sends times and attributes after every upload, and calls it failed if they are refused."""
    user = DavUser(sqlite_store, "anna", MemoryFilesystem(), preset="upload-only")

    assert user.request("PUT", "/shared/in", body="x").status == 201
    assert user.request("PROPPATCH", "/shared/in", body=PATCH).status == 207


def test_a_read_only_key_touches_no_lock_of_its_own_user(site: Site) -> None:
    """Locks belong to users, scopes to sessions: neither UNLOCK nor a refresh is reading."""
    site.anna.put("/shared/plan", b"1")
    token = site.anna.lock("/shared/plan")
    reader = reader_beside(site.anna, "anna")

    assert reader.request("UNLOCK", "/shared/plan", {"Lock-Token": f"<{token}>"}).status == 403
    assert reader.request("LOCK", "/shared/plan", {"If": f"(<{token}>)"}).status == 403
    assert site.ben.request("PUT", "/shared/plan", body="2").status == 423


def test_a_locked_new_name_has_no_property_of_an_older_file(site: Site) -> None:
    """Another protocol removed that one, perhaps another person's."""
    site.anna.put("/shared/plan", b"1")
    site.anna.request("PROPPATCH", "/shared/plan", body=PATCH)
    site.anna.workspace.remove(VirtualPath(("shared", "plan")))

    assert site.ben.request("LOCK", "/shared/plan", body=lock_body()).status == 201
    assert b"indigo" not in site.ben.request("PROPFIND", "/shared/plan", {"Depth": "0"}).body


@pytest.mark.parametrize("verb", ["COPY", "MOVE"])
@pytest.mark.parametrize("target", ["/two/plans", "/two/plans/inside"])
def test_a_folder_seen_at_two_paths_is_one_place(sqlite_store: Store, verb: str, target: str) -> None:
    """A user and a group of theirs may be granted one folder at two paths; a MOVE there removed what it had moved."""
    shared = MemoryFilesystem()
    user = DavUser(sqlite_store, "anna", shared)
    mounts = [Mount(VirtualPath((name,)), shared, "folder:shared") for name in ("one", "two")]
    mounts.append(Mount(VirtualPath(), user.home, "home:anna"))
    user.workspace = Workspace(MountTable(mounts, [Rule(VirtualPath(), ALL_RIGHTS, frozenset())]))
    user.mkdir("/one/plans")
    user.put("/one/plans/a", b"precious")

    assert user.request(verb, "/one/plans", {"Destination": f"/dav{target}"}).status == 403
    assert user.request(verb, "/one/plans/a", {"Destination": "/dav/two/plans/a"}).status == 403
    assert user.get("/two/plans/a") == b"precious"
    assert user.names("/one/plans") == {"a"}


def test_a_flat_lock_inside_a_tree_keeps_its_members(site: Site) -> None:
    """DELETE from above removes nothing from a folder whose list of names somebody else has locked."""
    site.anna.mkdir("/shared/tree")
    site.anna.mkdir("/shared/tree/held")
    site.anna.put("/shared/tree/held/a", b"1")
    site.anna.put("/shared/tree/free", b"1")
    site.ben.lock("/shared/tree/held")

    assert site.anna.request("DELETE", "/shared/tree").status == 207
    assert site.anna.names("/shared/tree") == {"held"}
    assert site.anna.names("/shared/tree/held") == {"a"}


def test_a_copy_carries_no_property_of_what_was_hidden(site: Site) -> None:
    """A member that the user may not see leaves nothing in the copy, not even under its name."""
    site.anna.mkdir("/shared/tree")
    for name in ("open", "hidden"):
        site.anna.mkdir(f"/shared/tree/{name}")
        site.anna.request("PROPPATCH", f"/shared/tree/{name}", body=PATCH)
    mounts = site.ben.workspace._state.access.table.mounts
    rules = [Rule(VirtualPath(), ALL_RIGHTS), Rule(VirtualPath(("shared", "tree", "hidden")), NO_RIGHTS, ALL_RIGHTS)]
    site.ben.workspace = Workspace(MountTable(mounts, rules))

    assert site.ben.request("COPY", "/shared/tree", {"Destination": "/dav/mine"}).status == 201
    site.ben.workspace.mkdir(VirtualPath(("mine", "hidden")))
    found = site.ben.request("PROPFIND", "/mine", {"Depth": "1"})
    assert "{urn:x}color" in found.properties("/dav/mine/open/")
    assert "{urn:x}color" not in found.properties("/dav/mine/hidden/")
