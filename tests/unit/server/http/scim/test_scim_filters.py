"""What a filter means, and what is no filter."""

from __future__ import annotations

import time
from typing import Any

import pytest

from server.http.scim.attributes import ENTERPRISE, GROUP, USER, Kind
from server.http.scim.errors import ScimError
from server.http.scim.queries.filters import Lookup, parse

CUSTOM = "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User"

BABS: dict[str, Any] = {
    "schemas": [USER, ENTERPRISE, CUSTOM],
    "id": "2819c223-7f76-453a",
    "externalId": "aBc",
    "userName": "BJensen@example.com",
    "active": False,
    "name": {"familyName": "Jensen", "givenName": "Barbara"},
    "displayName": 'Babs "B" Jensen',
    "title": "a.*b",
    "emails": [
        {"value": "b@work.example", "type": "work", "primary": True},
        {"value": "b@home.example", "type": "home"},
    ],
    "addresses": [{"locality": "Straße", "type": "work"}],
    "roles": [{"value": "editor", "primary": True}],
    ENTERPRISE: {"department": "Tour", "employeeNumber": "0701984", "manager": {"value": "26118915"}},
    CUSTOM: {"tag": "Blue", "Level": 7, "flags": [True, "x"], "deep": {"er": "down"}},
    "meta": {
        "resourceType": "User",
        "created": "2024-05-13T04:42:34.120Z",
        "lastModified": "2024-05-13T04:42:34.120Z",
        "location": "https://files.example/scim/v2/Users/2819c223-7f76-453a",
        "version": 'W/"3"',
    },
}
TOURS: dict[str, Any] = {
    "schemas": [GROUP],
    "id": "g1",
    "displayName": "Tour Guides",
    "members": [{"value": "u1", "type": "User"}, {"value": "u2", "type": "User"}],
}


def matches(text: str, resource: dict[str, Any] = BABS) -> bool:
    return parse(text, Kind.GROUP if resource["schemas"] == [GROUP] else Kind.USER).matches(resource)


def refusal(text: str, kind: Kind = Kind.USER) -> ScimError:
    with pytest.raises(ScimError) as refused:
        parse(text, kind)
    return refused.value


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "bjensen@EXAMPLE.com"',
        'USERNAME Eq "bjensen@example.com"',
        f'{USER}:userName sw "BJ"',
        'userName co "JENSEN" and userName ew ".COM"',
        'id eq "2819c223-7f76-453a"',
        'externalId eq "aBc"',
        "externalId eq aBc",
        "userName eq bjensen@example.com and active eq false",
        'active eq "False"',
        "active ne true",
        "not (active eq true)",
        "not(active eq true)",
        'name.familyName eq "jensen"',
        r'displayName eq "Babs \"B\" Jensen"',
        r'displayName eq "\u0042abs \"B\" Jensen"',
        'title eq "a.*b"',
        'emails eq "B@work.example"',
        'emails.value eq "b@home.example"',
        'emails co "home"',
        'emails[type eq "work"].value eq "b@work.example"',
        'emails[type eq "work" and value eq "b@work.example"]',
        "emails[type eq work and not (value co home)]",
        'emails[primary eq "True"].value pr',
        'emails[type eq "work" and (value ew "nowhere" or primary eq true)]',
        'emails.type ne "work"',
        'emails[value ne "b@work.example"]',
        'addresses.locality eq "STRASSE"',
        'addresses[type eq "work"].locality sw "str"',
        'roles[primary eq "True"].value eq "EDITOR"',
        'manager eq "26118915"',
        "manager.value eq 26118915",
        'manager[value eq "26118915"]',
        f'{ENTERPRISE}:manager eq "26118915"',
        f'{ENTERPRISE.upper()}:Department eq "tour"',
        f"{ENTERPRISE}:manager.value pr",
        f"{ENTERPRISE} pr",
        'urn:ietf:params:scim:schemas:extension:enterprise:2.0User:department eq "tour"',
        'department eq "tour"',
        "employeeNumber eq 0701984",
        'employeeNumber gt "06"',
        f'{CUSTOM}:tag eq "blue"',
        f'{CUSTOM.lower()}:TAG sw "B"',
        f"{CUSTOM}:level eq 7",
        f"{CUSTOM}:level gt 6.5",
        f"{CUSTOM}:flags eq true",
        f'{CUSTOM}:flags eq "X"',
        f'{CUSTOM}:deep.er eq "down"',
        f'{CUSTOM}:deep[er eq "down"]',
        f"{CUSTOM}:absent eq null",
        f'schemas eq "{ENTERPRISE}"',
        f'schemas[value eq "{USER}"]',
        'meta.created eq "2024-05-13T06:42:34.12+02:00"',
        'meta.lastModified gt "2024-05-13T04:42:34Z"',
        'meta.lastModified lt "2024-05-14"',
        'meta.created sw "2024-05"',
        'meta.resourceType eq "User"',
        r'meta.version eq "W/\"3\""',
        "userName pr and name pr and emails pr and manager pr and emails.type pr",
        "not (nickName pr)",
        'nickName ne "x"',
        "nickName eq null and userName ne null",
        "title ne null",
        'userName pr or title pr and title eq "no"',
        '((userName pr) or (title pr)) and not (title eq "no")',
        ' \t userName\n eq"bjensen@example.com"and active eq false ',
        'password ne "x" and userName pr',
        'userName le "c" and userName ge "b" and userName lt "bk" and userName gt "bi"',
    ],
)
def test_matches(text: str) -> None:
    """Filters that this user fulfils."""
    assert matches(text)


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "bjensen"',
        'id eq "2819C223-7F76-453A"',
        'externalId eq "abc"',
        'meta.resourceType eq "user"',
        'manager eq "26118916"',
        "active eq true",
        'title eq "aXXb"',
        'title co ".+"',
        'title sw "[a"',
        'userName sw "%"',
        'userName eq "bjensen@example.com\' or 1=1"',
        'emails[type eq "home"].value eq "b@work.example"',
        'emails[type eq "home" and primary eq true]',
        'emails.display ne "x" and emails.display pr',
        'emails[shoe eq "x"]',
        'emails[type.x eq "work"]',
        "name.middleName pr",
        "nickName pr",
        'nickName eq "x"',
        'nickName co ""',
        "userName eq null",
        'nickName eq "null"',
        'userName pr and password eq "x"',
        'userName pr and password sw ""',
        'userName pr and members eq "u1"',
        f'userName pr and {GROUP}:displayName eq "x"',
        'groups.value eq "g1"',
        f"{CUSTOM}:level gt 7",
        f"{CUSTOM}:level lt " + "9" * 1900,
        f"{CUSTOM}:level lt 1e999",
        f'{CUSTOM}:level eq "7"',
        f'{CUSTOM}:level co "7"',
        f'{CUSTOM}:deep eq "down"',
        f"{CUSTOM}:flags eq false",
        'urn:none:such:1.0:thing eq "x"',
        f'schemas eq "{ENTERPRISE.upper()}"',
        'meta.created eq "2024-05-13T04:42:34Z"',
        'not (userName pr) or emails[type eq "x"].value pr',
    ],
)
def test_does_not_match(text: str) -> None:
    """Filters that this user does not fulfil; values that look like patterns are plain text."""
    assert not matches(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('displayName eq "tour guides"', True),
        ('id eq "g1" and members eq "u2"', True),
        ('members.value eq "u1"', True),
        ('members[value eq "u1"]', True),
        ('members[value eq "u1" or value eq "u9"]', True),
        ('members eq "U1"', False),
        ('members ne "u1"', True),
        ('manager eq "u1" or members eq "u3"', False),
    ],
)
def test_groups(text: str, expected: bool) -> None:  # noqa: FBT001
    """Members are found by any of their ids, which have a case."""
    assert matches(text, TOURS) is expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "userName",
        "userName eq",
        'eq "x"',
        'userName is "x"',
        'userName eq "x" xor active eq true',
        'userName eq "x" and',
        'userName eq "x" active eq true',
        'userName eq "x',
        "userName eq 'x'",
        r'userName eq "\q"',
        r'userName eq "\u12"',
        r'userName eq "\u0000"',
        r'userName eq "\ud800"',
        'userName eq "a\0b"',
        'userName eq "a\x1bb"',
        'userName eq "a\ud800"',
        "userName\0 pr",
        "userName eq a\ud800",
        f'{ENTERPRISE}:id eq "x"',
        f'{GROUP}:displayName eq "x"',
        '(userName eq "x"',
        'userName eq "x")',
        'emails[type eq "x"',
        "emails[]",
        "emails[emails[type pr]]",
        'emails.value[type eq "x"]',
        'userName[value eq "x"].y.z eq "x"',
        'userName eq ("x")',
        'userName eq "x" .value eq "y"',
        'not userName eq "x"',
        'a.b.c eq "x"',
        '5 eq "x"',
        "urn: pr",
        "*",
        "%00",
        'active gt "true"',
        "active eq 1",
        'active co "t"',
        "emails[primary eq yes]",
        'name eq "x"',
        'addresses eq "x"',
        'meta eq "x"',
        f'{ENTERPRISE} eq "x"',
        "userName gt null",
        'meta.created gt "yesterday"',
        "meta.created eq 5",
        'userName[value eq "x"]',
        'nonsense eq "x"',
        'nonsense eq "x" or not (rubbish pr)',
        'name.shoe eq "x"',
        'password eq "x"',
        'members eq "x"',
    ],
)
def test_refused(text: str) -> None:
    """What is no filter, or can mean nothing here, is refused as one."""
    refused = refusal(text)

    assert (refused.status, refused.scim_type) == (400, "invalidFilter")


@pytest.mark.parametrize(
    ("text", "after"),
    [('"x" eq userName', 0), ('userName eq ("x")', 11), ("(userName)", 9), ("emails[type pr] and ]", 19), ("()", 1)],
)
def test_the_refusal_tells_where(text: str, after: int) -> None:
    """An administrator who tries a filter out is told how far it was understood."""
    assert refusal(text).detail == f"The filter is not understood after {after} characters."


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000 + "userName pr" + ")" * 5000,
        "not (" * 5000 + "userName pr" + ")" * 5000,
        "(" * 900,
        "(" * 21 + "userName pr" + ")" * 21,
        "not (" * 20 + "emails[type pr]" + ")" * 20,
        'userName eq "' + "x" * 1_000_000 + '"',
        "\\" * 1_000_000,
        '"' * 1999,
        'userName eq "' + "\\" * 1900,
        " or ".join(f'userName eq "{number}"' for number in range(500)),
        " or ".join(["a pr"] * 51),
        "emails[" + " or ".join(["type pr"] * 51) + "]",
        " " * 1_000_000,
        "userName" + " " * 1900 + "eq",
        "a." * 900 + "a pr",
        "urn:" * 490 + " pr",
        "userName eq " + "9" * 1900 + " " + "9",
    ],
)
def test_attacks_are_over_soon(text: str) -> None:
    """Texts made to keep a parser busy are refused within milliseconds."""
    parse('userName eq "warm"', Kind.USER)
    begun = time.perf_counter()
    refused = refusal(text)
    seconds = time.perf_counter() - begun

    assert (refused.status, refused.scim_type) == (400, "invalidFilter")
    assert seconds < 0.25  # some milliseconds here; a parser at work on them takes much longer


def test_up_to_the_limits() -> None:
    """Fifty comparisons, twenty levels and two thousand characters are a filter."""
    assert matches(" or ".join(["nickName pr"] * 49 + ["userName pr"]))
    assert matches("(" * 20 + "userName pr" + ")" * 20)
    assert matches(("not (" * 19) + "emails[type eq nothing]" + ")" * 19)
    assert not matches('userName eq "' + "x" * 1986 + '"')


@pytest.mark.parametrize(
    ("text", "found", "whole"),
    [
        ('userName eq "X"', [("userName", "X")], True),
        ("(externalId eq x)", [("externalId", "x")], True),
        ('ID eq "1"', [("id", "1")], True),
        ('emails.value eq "a@b"', [("email", "a@b")], True),
        ('emails eq "a@b"', [("email", "a@b")], True),
        ('emails[value eq "a@b"]', [("email", "a@b")], True),
        ('emails[type eq "work"].value eq "a@b"', [("email", "a@b")], False),
        ('emails[type eq "work" and value eq "a@b"]', [("email", "a@b")], False),
        ('emails[type eq "work" or value eq "a@b"]', [], False),
        ('emails[not (value eq "a@b")]', [], False),
        ('emails.type eq "work"', [], False),
        ('manager eq "7"', [("manager", "7")], True),
        (f'{ENTERPRISE}:manager.value eq "7"', [("manager", "7")], True),
        ('displayName eq "B"', [("displayName", "B")], True),
        ('id eq "1" and manager eq "7"', [("id", "1"), ("manager", "7")], True),
        (
            'displayName eq "B" and (active eq true and userName eq "x")',
            [("userName", "x"), ("displayName", "B")],
            False,
        ),
        ('userName eq "x" or id eq "1"', [], False),
        ('userName ne "x"', [], False),
        ('not (userName eq "x")', [], False),
        ('userName sw "x"', [], False),
        ("userName eq null", [], False),
        ("userName pr", [], False),
        (f'{CUSTOM}:userName eq "x"', [], False),
    ],
)
def test_lookups_of_users(text: str, found: list[tuple[str, str]], whole: bool) -> None:  # noqa: FBT001
    """What an index can answer is found in the conjunction, the narrowest first."""
    filter_ = parse(text, Kind.USER)

    assert [(lookup.attribute, lookup.value) for lookup in filter_.lookups] == found
    assert filter_.is_only_lookups is whole
    assert filter_.is_only_lookup is (whole and len(found) == 1)
    assert filter_.lookup == (filter_.lookups[0] if found else None)


@pytest.mark.parametrize("text", ['members eq "u"', 'members.value eq "u"', 'members[value eq "u"]', "members eq u"])
def test_lookup_of_members(text: str) -> None:
    """A group is looked up by a member in every way to ask for one."""
    filter_ = parse(text, Kind.GROUP)

    assert (filter_.lookup, filter_.is_only_lookup) == (Lookup("members", "u"), True)


def test_what_entra_asks_of_groups() -> None:
    """The check of a reference is answered by two look-ups, without any reading of members."""
    filter_ = parse('id eq "g1" and members eq "u1"', Kind.GROUP)

    assert filter_.lookups == (Lookup("id", "g1"), Lookup("members", "u1"))
    assert (filter_.is_only_lookup, filter_.is_only_lookups) == (False, True)


def test_reads() -> None:
    """What a filter must see of a resource is known before it is read."""
    filter_ = parse(f'members[value eq "u1"] or {GROUP}:displayName eq "x"', Kind.GROUP)

    assert [filter_.reads(name) for name in ("members", "displayName", "id")] == [True, True, False]


def test_the_refusal_tells_no_value() -> None:
    """A refusal goes into logs, and names no value of the client."""
    refused = refusal('active eq "s3cret" and name.familyName eq "s3cret"')

    assert "active" in refused.detail
    assert "s3cret" not in refused.detail
