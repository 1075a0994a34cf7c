"""Request targets and destinations name what they say, and nothing outside the tree."""

from __future__ import annotations

import pytest

from server.webdav.urls import BadDestination, destination_of, href_of, is_below_mount, path_of
from storage.files.errors import InvalidPath
from storage.files.path import VirtualPath


@pytest.mark.parametrize("name", ["a b", "100%", "ü", "日本", "😀", "a?b#c;d", "it's", '"q"', "a+b", "(x)", "%2e%2e"])
def test_a_name_survives_the_way_there_and_back(name: str) -> None:
    """What a listing shows, a request finds: no character has a second meaning, and none is decoded twice."""
    path = VirtualPath(("dir", name))

    assert path == path_of(href_of(path, is_directory=False).encode())
    assert path == path_of(href_of(path, is_directory=True).encode())
    assert path == destination_of(f"https://host:8443{href_of(path, is_directory=False)}", "host:8443")


@pytest.mark.parametrize(
    "raw",
    [
        b"/dav/a%2fb",
        b"/dav/..%2f..%2fetc",
        b"/dav/a%00b",
        b"/dav/a%0ab",
        b"/dav/%ff%fe",
        b"/dav/%c0%ae%c0%ae/x",
        b"/davx",
        b"/",
    ],
)
def test_hostile_paths_are_refused(raw: bytes) -> None:
    """Encoded slashes, NUL, control characters and overlong UTF-8 name nothing."""
    with pytest.raises(InvalidPath):
        path_of(raw)


def test_only_the_mount_itself_is_below_the_mount() -> None:
    """A neighbour whose name begins alike is not ours."""
    assert [is_below_mount(raw) for raw in (b"/dav", b"/dav/", b"/dav/x", b"/davx", b"/")] == [
        True,
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 400),
        ("", 400),
        ("https://other/dav/x", 502),
        ("ftp://host/dav/x", 502),
        ("https://host/elsewhere", 502),
        ("https://[broken/dav/x", 400),
        ("https://host/dav/x?query", 400),
        ("https://host/dav/x#fragment", 400),
    ],
)
def test_a_destination_elsewhere_is_refused(header: str | None, status: int) -> None:
    """RFC 4918 9.9.4: another server is 502; what is no destination is 400."""
    with pytest.raises(BadDestination) as refused:
        destination_of(header, "host")

    assert status == refused.value.status


def test_a_destination_may_be_a_path_or_name_the_default_port() -> None:
    """RFC 4918 10.3 allows both, and a proxy in front may have changed the scheme."""
    expected = VirtualPath(("x",))

    assert [expected] * 4 == [
        destination_of(header, "Host")
        for header in ("/dav/x", "https://host/dav/x", "https://HOST:443/dav/x", "http://host:80/dav/x/")
    ]


@pytest.mark.parametrize(
    ("raw", "inside"),
    [
        (b"/dav/../etc/passwd", "/etc/passwd"),
        (b"/dav/%2e%2e/%2E./x", "/x"),
        (b"/dav/a/.%2E/x", "/x"),
        (b"/dav/a/./b/%2e", "/a/b"),
        (b"/dav/..", "/"),
    ],
)
def test_dot_segments_stay_inside(raw: bytes, inside: str) -> None:
    """As on every front end: above the root is the root."""
    assert str(path_of(raw)) == inside


@pytest.mark.parametrize("tail", ["/a%2fb", "/a%00", "/%ff"])
def test_a_hostile_destination_is_refused(tail: str) -> None:
    """The second path of a request is read by the same rules as the first."""
    with pytest.raises(InvalidPath):
        destination_of(f"https://host/dav{tail}", "host")
