"""What a request may ask for."""

from __future__ import annotations

import time

import pytest

from server.webdav.limits import MAX_XML_BYTES, lock_timeout_s, too_large
from tests.support.dav_site import Site


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, 600.0),
        ("", 600.0),
        ("Infinite", 3600.0),
        ("Infinite, Second-4100000000", 3600.0),
        ("Second-1", 600.0),
        ("second-1200", 1200.0),
        ("Second-604800", 3600.0),
        ("Second-99999999999999999999999", 3600.0),
        ("Second-x, Second-900", 900.0),
        ("Extend", 600.0),
    ],
)
def test_locks_live_ten_minutes_to_an_hour(header: str | None, expected: float) -> None:
    """WsgiDAV would give a week; a forgotten lock must not block others for days."""
    assert expected == lock_timeout_s(header)


def test_many_elements_are_refused_before_they_are_parsed() -> None:
    """1.5 million empty elements took WsgiDAV 27 s and 2 GB."""
    assert [
        too_large(b"x" * (MAX_XML_BYTES + 1)),
        too_large(b"<a/>" * 20_000),
        too_large(b"<a></a>" * 4000),
    ] == [True, True, False]


def test_the_largest_body_allowed_is_cheap(site: Site) -> None:
    """The limits are small enough that no body within them holds a thread."""
    body = b'<D:propfind xmlns:D="DAV:"><D:prop>' + b"<D:x/>" * 4000 + b"</D:prop></D:propfind>"
    begun = time.process_time()
    response = site.anna.request("PROPFIND", "/", {"Depth": "0"}, body)

    assert response.status == 207
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    "body",
    [
        '<!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;&a;">]><D:propfind xmlns:D="DAV:">&c;</D:propfind>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><D:propfind xmlns:D="DAV:">&a;</D:propfind>',
        "<D:propfind",
        "not xml",
        "<other/>",
        "<a>" * 100 + "</a>" * 100,
        '<D:propfind xmlns:D="DAV:"><D:allprop/><D:propname/></D:propfind>',
    ],
)
def test_hostile_xml_is_refused(site: Site, body: str) -> None:
    """Entities, external files, depth and nonsense are 400, quickly."""
    assert site.anna.request("PROPFIND", "/", {"Depth": "0"}, body).status == 400


def test_depth_infinity_is_refused_with_the_condition_that_clients_know(site: Site) -> None:
    """RFC 4918 9.1: 403 with propfind-finite-depth."""
    response = site.anna.request("PROPFIND", "/", {"Depth": "infinity"})

    assert response.status == 403
    assert b"propfind-finite-depth" in response.body
