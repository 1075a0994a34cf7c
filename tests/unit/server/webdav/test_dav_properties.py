"""PROPFIND and PROPPATCH (RFC 4918 sections 9.1 and 9.2)."""

from __future__ import annotations

import pytest

from storage.database.store import Store
from storage.files.memory import MemoryFilesystem
from storage.files.path import VirtualPath
from tests.support.dav_site import DavUser, Response, Site


def patch(user: DavUser, path: str, inner: str, **headers: str) -> Response:
    body = f'<D:propertyupdate xmlns:D="DAV:" xmlns:Z="urn:z">{inner}</D:propertyupdate>'
    return user.request("PROPPATCH", path, headers, body)


def set_one(user: DavUser, path: str, element: str) -> Response:
    return patch(user, path, f"<D:set><D:prop>{element}</D:prop></D:set>")


def find(user: DavUser, path: str, inner: str, depth: str = "0") -> Response:
    return user.request(
        "PROPFIND", path, {"Depth": depth}, f'<D:propfind xmlns:D="DAV:" xmlns:Z="urn:z">{inner}</D:propfind>'
    )


def test_a_listing_shows_each_member_once_with_its_facts(site: Site) -> None:
    """Names of every kind; folders end with a slash; etag is quoted and the GET's own."""
    site.anna.put("/a b&<ü>", b"123")
    site.anna.mkdir("/d")

    response = site.anna.request("PROPFIND", "/", {"Depth": "1"})

    assert {"/dav/", "/dav/a%20b%26%3C%C3%BC%3E", "/dav/d/", "/dav/shared/"} == set(response.hrefs())
    facts = response.properties("/dav/a%20b%26%3C%C3%BC%3E")
    assert facts["{DAV:}displayname"].text == "a b&<ü>"
    assert facts["{DAV:}getcontentlength"].text == "3"
    assert site.anna.request("HEAD", "/a%20b%26%3C%C3%BC%3E").headers["etag"] == facts["{DAV:}getetag"].text
    assert facts["{DAV:}resourcetype"].find("{DAV:}collection") is None
    assert response.properties("/dav/d/")["{DAV:}resourcetype"].find("{DAV:}collection") is not None


def test_one_listing_is_one_scan_and_no_further_look(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """WsgiDAV looks 19 times at every entry; here the scan's own facts are enough."""
    for number in range(20):
        site.anna.put(f"/{number}", b"1")
    looks: list[VirtualPath] = []
    stat = MemoryFilesystem.stat

    def counted(self: MemoryFilesystem, path: VirtualPath) -> object:
        looks.append(path)
        return stat(self, path)

    monkeypatch.setattr(MemoryFilesystem, "stat", counted)
    response = site.anna.request("PROPFIND", "/", {"Depth": "1"})

    assert len(response.hrefs()) == 22
    assert len(looks) < 10


@pytest.mark.parametrize(("depth", "count"), [({"Depth": "0"}, 1), ({"Depth": "1"}, 2), ({}, 2)])
def test_a_missing_depth_lists_one_level(site: Site, depth: dict[str, str], count: int) -> None:
    """The RFC would have it infinite, which is refused here."""
    assert count == len(site.anna.request("PROPFIND", "/", depth).hrefs())


def test_named_properties_are_found_or_missing(site: Site) -> None:
    """Each name is answered, with 200 or 404."""
    site.anna.put("/x", b"1")

    response = find(site.anna, "/x", "<D:prop><D:getcontentlength/><Z:none/><D:quota-used-bytes/></D:prop>")

    assert {"{DAV:}getcontentlength"} == set(response.properties("/dav/x"))
    assert b"404 Not Found" in response.body
    assert b'<x:none xmlns:x="urn:z"/>' in response.body


def test_propname_gives_names_only(site: Site) -> None:
    """WsgiDAV 4.4.0 does not know this request."""
    site.anna.put("/x", b"1")
    set_one(site.anna, "/x", "<Z:mine>v</Z:mine>")

    found = find(site.anna, "/x", "<D:propname/>").properties("/dav/x")

    assert {"{urn:z}mine", "{DAV:}getetag", "{DAV:}lockdiscovery"} <= set(found)
    assert not any(element.text for element in found.values())


def test_the_quota_is_the_user_s_own(sqlite_store: Store) -> None:
    """RFC 4331: WsgiDAV would show the whole disk."""
    user = DavUser(sqlite_store, "anna", MemoryFilesystem(), quota=1000)
    user.put("/x", b"1" * 300)

    found = find(user, "/", "<D:prop><D:quota-available-bytes/><D:quota-used-bytes/></D:prop>").properties("/dav/")

    assert [found[f"{{DAV:}}quota-{name}-bytes"].text for name in ("available", "used")] == ["700", "300"]


def test_dead_properties_persist_as_they_came(site: Site) -> None:
    """Windows' times, Cyberduck's dates, nested XML, attributes and any script survive."""
    site.anna.put("/x", b"1")
    win = '<W:Win32FileAttributes xmlns:W="urn:schemas-microsoft-com:">00000020</W:Win32FileAttributes>'
    own = '<Z:tree a="&quot;1&quot;"><Z:leaf>日本 &amp; 😀</Z:leaf>tail</Z:tree>'

    assert b"200 OK" in set_one(site.anna, "/x", win + own).body
    found = site.anna.request("PROPFIND", "/x", {"Depth": "0"}).properties("/dav/x")
    assert found["{urn:schemas-microsoft-com:}Win32FileAttributes"].text == "00000020"
    tree = found["{urn:z}tree"]
    assert [tree.get("a"), tree[0].text, tree[0].tail] == ['"1"', "日本 & 😀", "tail"]


def test_members_show_their_own_dead_properties(site: Site) -> None:
    """Also those of members of another mount, and of none that lies deeper."""
    site.anna.mkdir("/d")
    site.anna.put("/d/x", b"1")
    for path, value in [("/d", "d"), ("/d/x", "x"), ("/shared", "s")]:
        set_one(site.anna, path, f"<Z:p>{value}</Z:p>")

    response = find(site.anna, "/", "<D:prop><Z:p/></D:prop>", depth="1")

    assert [response.properties(href)["{urn:z}p"].text for href in ("/dav/d/", "/dav/shared/")] == ["d", "s"]
    assert response.properties("/dav/") == {}


def test_shared_folders_share_properties_and_homes_do_not(site: Site) -> None:
    """Keys hold the tree: nobody reads another's."""
    for user in (site.anna, site.ben):
        user.put("/x", b"1")
    site.anna.put("/shared/y", b"1")
    set_one(site.anna, "/x", "<Z:p>private</Z:p>")
    set_one(site.anna, "/shared/y", "<Z:p>common</Z:p>")

    assert b"private" not in find(site.ben, "/x", "<D:allprop/>").body
    assert b"common" in find(site.ben, "/shared/y", "<D:allprop/>").body


def test_changes_are_made_in_order_and_all_or_none(site: Site) -> None:
    """One protected property undoes the whole request, and the others say why (424)."""
    site.anna.put("/x", b"1")
    set_one(site.anna, "/x", "<Z:p>old</Z:p>")

    failed = set_one(site.anna, "/x", "<Z:p>new</Z:p><D:getetag>1</D:getetag>")
    assert b"424" in failed.body
    assert b"403" in failed.body
    assert b"cannot-modify-protected-property" in failed.body
    assert b"old" in find(site.anna, "/x", "<D:prop><Z:p/></D:prop>").body
    ordered = (
        "<D:set><D:prop><Z:p>a</Z:p></D:prop></D:set><D:remove><D:prop><Z:p/></D:prop></D:remove>"
        "<D:set><D:prop><Z:q>b</Z:q></D:prop></D:set>"
    )
    patch(site.anna, "/x", ordered)
    assert {"{urn:z}q"} == set(find(site.anna, "/x", "<D:prop><Z:p/><Z:q/></D:prop>").properties("/dav/x"))


def test_a_property_of_megabytes_is_refused(site: Site) -> None:
    """507, and what was there stays."""
    site.anna.put("/x", b"1")

    assert b"507" in set_one(site.anna, "/x", f"<Z:p>{'v' * 70_000}</Z:p>").body
    assert site.anna.store.properties.at("home:anna", "/x") == {}


@pytest.mark.parametrize("value", ["1000000000", "Sun, 09 Sep 2001 01:46:40 GMT"])
def test_the_modification_time_can_be_set(site: Site, value: str) -> None:
    """As rclone sets it."""
    site.anna.put("/x", b"1")

    assert b"200 OK" in set_one(site.anna, "/x", f"<D:lastmodified>{value}</D:lastmodified>").body
    assert site.anna.workspace.stat(VirtualPath.parse("/x")).modified_ns == 1_000_000_000 * 10**9
    assert b"409" in set_one(site.anna, "/x", "<D:lastmodified>soon</D:lastmodified>").body


def test_a_locked_file_keeps_its_properties(site: Site) -> None:
    """PROPPATCH is a write."""
    site.anna.put("/shared/x", b"1")
    site.anna.lock("/shared/x")

    assert set_one(site.ben, "/shared/x", "<Z:p>1</Z:p>").status == 423


@pytest.mark.parametrize("body", ["", "<D:x xmlns:D='DAV:'/>", '<D:propertyupdate xmlns:D="DAV:"/>'])
def test_a_patch_without_a_change_is_refused(site: Site, body: str) -> None:
    """400."""
    assert site.anna.request("PROPPATCH", "/", body=body).status == 400
    assert site.anna.request("PROPPATCH", "/none", body=body).status == 404
