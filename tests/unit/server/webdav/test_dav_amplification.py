"""Small requests whose answer, or whose work, would be large."""

from __future__ import annotations

import pytest

from server.webdav.listing import PIECE
from storage.database import properties as properties_table
from storage.database.properties import MAX_VALUE_BYTES, PropertiesTooLarge
from storage.database.store import Store
from storage.files.path import VirtualPath
from tests.support.dav_site import Site, lock_body

MANY = "9" * 5000


def asking(names: str, namespace: str) -> str:
    """The body of a PROPFIND."""
    return f'<D:propfind xmlns:D="DAV:" xmlns:x="{namespace}"><D:prop>{names}</D:prop></D:propfind>'


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (asking("".join(f"<x:a{number}/>" for number in range(4000)), "urn:" + "n" * 20_000), 413),
        (asking("".join(f"<x:a{number}/>" for number in range(2000)), "urn:" + "n" * 500), 413),
        (asking(f"<x:{'n' * 2000}/>", "urn:x"), 413),
        (asking("".join(f"<x:a{number}/>" for number in range(100)), "urn:" + "n" * 200), 207),
        (f'<!DOCTYPE p [<!ATTLIST p xmlns CDATA "{"n" * 5000}">]>' + asking("<x:a/>", "urn:x"), 400),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_names_are_not_repeated_with_a_long_namespace(site: Site, body: str, status: int, encoding: str) -> None:
    """59 KB of PROPFIND over four entries were 320 MB of answer."""
    site.anna.put("/a", b"")
    response = site.anna.request("PROPFIND", "/", {"Depth": "1"}, body.encode(encoding))

    assert response.status == status
    assert len(response.body) < 1_000_000


def test_a_listing_with_large_properties_is_held_piece_by_piece(
    site: Site, sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much the members carry together, it is neither read nor sent at once."""
    monkeypatch.setattr(properties_table, "MAX_MEMBERS_CHARACTERS", 3 * MAX_VALUE_BYTES)
    value = f'<x:p xmlns:x="urn:x">{"v" * (MAX_VALUE_BYTES - 100)}</x:p>'
    for number in range(6):
        site.anna.put(f"/{number}", b"")
        sqlite_store.properties.change("home:anna", f"/{number}", [("{urn:x}p", value)])

    with pytest.raises(PropertiesTooLarge):
        sqlite_store.properties.of_members("home:anna", "/")
    response = site.anna.request("PROPFIND", "/", {"Depth": "1"})
    assert response.body.count(b"</x:p>") == 6
    assert len(response.body) > 2 * PIECE


@pytest.mark.parametrize(
    ("method", "header", "value", "status"),
    [
        ("GET", "Range", f"bytes=0-{MANY}", 200),
        ("GET", "Range", f"bytes=-{MANY}", 200),
        ("PUT", "Content-Range", f"bytes 0-{MANY}/*", 400),
        ("PUT", "X-OC-Mtime", MANY, 400),
        ("PUT", "X-OC-Mtime", "1099511627775", 400),
        ("LOCK", "Timeout", f"Second-{MANY}", 200),
    ],
)
def test_endless_numbers_are_no_failure(site: Site, method: str, header: str, value: str, status: int) -> None:
    """Python reads no number of more than 4300 digits, and no date after the year 9999."""
    site.anna.put("/a", b"1")

    assert site.anna.request(method, "/a", {header: value}, lock_body() if method == "LOCK" else "").status == status


@pytest.mark.parametrize("seconds", [1 << 40, -(1 << 40)])
def test_a_file_from_another_age_does_not_break_its_folder(site: Site, seconds: int) -> None:
    """Whatever set its time: the folder is listed, and the file is served."""
    site.anna.put("/a", b"1")
    site.anna.home.set_times(VirtualPath(("a",)), seconds * 1_000_000_000, None)

    assert site.anna.request("PROPFIND", "/", {"Depth": "1"}).status == 207
    assert site.anna.request("GET", "/a").body == b"1"


def test_two_who_go_on_at_the_end_of_one_file_do_not_both_succeed(site: Site) -> None:
    """The second part was for the file as it was; published now, it would remove the first one's bytes."""
    site.anna.put("/shared/a", b"1234")

    def other() -> None:
        assert site.ben.request("PUT", "/shared/a", {"Content-Range": "bytes 4-5/*"}, "56").status == 204

    response = site.anna.request("PUT", "/shared/a", {"Content-Range": "bytes 4-5/*"}, "78", meanwhile=other)
    assert response.status == 400
    assert site.anna.get("/shared/a") == b"123456"
