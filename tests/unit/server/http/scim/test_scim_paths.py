"""Where a request goes, and what is read of its head."""

from __future__ import annotations

import pytest

from server.http.scim.endpoint import Target, _base, target_of
from server.http.scim.errors import ScimError
from server.http.scim.mount import is_below_mount
from server.http.scim.requests import ScimRequest


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/scim/v2", Target(None, "/")),
        (b"/scim/v2/", Target(None, "/")),
        (b"/scim/v2/Users", Target(None, "/Users")),
        (b"/scim/v2/Users/1", Target(None, "/Users/1")),
        (b"/scim/v2/.search", Target(None, "/.search")),
        (b"/scim/v2/entra", Target("entra", "/")),
        (b"/scim/v2/entra/Users/1", Target("entra", "/Users/1")),
        (b"/scim/v2/Entra/Users", Target(None, "/Entra/Users")),
    ],
)
def test_the_provider_in_a_path(path: bytes, expected: Target) -> None:
    """Resources begin with a capital letter, providers' names never do."""
    assert target_of(path) == expected


def test_what_is_below_the_mount() -> None:
    """And nothing that only begins like it."""
    assert [is_below_mount(path) for path in (b"/scim/v2", b"/scim/v2/x", b"/scim/v20", b"/scim", b"/dav/scim/v2")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert target_of(b"/scim/v2/\xff") is None


@pytest.mark.parametrize("host", ["", "a b", "evil.example/x", "x\r\ny", "[::1", "a" * 300, "host:port", "user@host"])
def test_a_host_that_is_none_is_not_repeated(host: str) -> None:
    """Links are relative then: what a client says is no address of ours."""
    assert _base({"host": host}, Target("entra", "/")) == "/scim/v2/entra"


@pytest.mark.parametrize("host", ["files.example.org", "files.example.org:8443", "127.0.0.1:1", "[::1]:8443"])
def test_links_name_the_host_that_the_client_used(host: str) -> None:
    """Whatever is in front of the server, its clients find the way back."""
    assert _base({"host": host}, Target(None, "/")) == f"https://{host}/scim/v2"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/scim+json", None),
        ("application/json; charset=utf-8", None),
        ("APPLICATION/SCIM+JSON;Charset=UTF-8", None),
        ("", None),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/json; charset=utf-16", 415),
    ],
)
def test_types_of_bodies(kind: str, status: int | None) -> None:
    """JSON in UTF-8, under both names; nothing said is believed to be that."""
    request = ScimRequest("POST", "/Users", headers={"content-type": kind}, body=b'{"a": 1}')
    if status is None:
        assert request.json() == {"a": 1}
        return
    with pytest.raises(ScimError) as refused:
        request.json()

    assert refused.value.status == status


def test_parameters_are_found_in_any_case() -> None:
    """The first of several counts, and unknown ones harm nobody."""
    request = ScimRequest(
        "GET", "/Users", "StartIndex=2&startindex=3&aadOptscim062020&filter=userName%20eq%20%22a%2Bb%22"
    )

    assert request.parameters() == {"startindex": "2", "aadoptscim062020": "", "filter": 'userName eq "a+b"'}


def test_a_query_without_end() -> None:
    """More parameters than anybody sends are refused."""
    with pytest.raises(ScimError) as refused:
        ScimRequest("GET", "/Users", "&".join(f"a{number}=1" for number in range(1000))).parameters()

    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("header", "expected"),
    [(None, None), ("*", None), ('W/"3"', {"3"}), ('"3", W/"4"', {"3", "4"}), ("3", set()), ("", set())],
)
def test_versions_in_headers(header: str | None, expected: set[str] | None) -> None:
    """What is no entity tag matches nothing: a client that says so meant one."""
    headers = {} if header is None else {"if-match": header}

    assert ScimRequest("PUT", "/Users/1", headers=headers).expected_versions() == expected
