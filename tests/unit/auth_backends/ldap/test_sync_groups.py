"""Groups: nesting, circles, primary groups, wildcards, and large member lists that come in ranges."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from auth_backends.ldap.connection import Scope
from auth_backends.ldap.entry import Entry
from auth_backends.ldap.errors import DirectoryUnreachable
from auth_backends.ldap.sync.groups import (
    DirectoryGroup,
    GroupGraph,
    Known,
    People,
    Selection,
    group_of,
    read_groups,
    relative_id,
)
from auth_backends.ldap.vendors import preset_of
from config.ldap import Vendor
from tests.unit.auth_backends.ldap.test_sync_people import GUID, entry, provider


def group(name: str) -> DirectoryGroup:
    return DirectoryGroup(f"id-{name}", f"cn={name},dc=corp", name)


def graph(**members: Sequence[str | Known]) -> GroupGraph:
    made = GroupGraph()
    for number, (name, who) in enumerate(members.items(), start=500):
        made.add(group(name), number, who)
    return made


def dn(name: str) -> str:
    return f"cn={name},dc=corp"


ANN = Known("ann")


def test_a_member_of_an_inner_group_is_in_every_group_around_it() -> None:
    """Whatever circles they make; and nobody gets into a group beside."""
    found = graph(
        inner=[ANN, dn("outer")], middle=[dn("inner")], outer=[dn("middle")], beside=[dn("elsewhere")]
    ).memberships()

    assert found.of("ann", None) == {"id-inner", "id-middle", "id-outer"}
    assert found.of("bob", None) == frozenset()


def test_a_primary_group_counts_with_all_around_it() -> None:
    """No member attribute names it."""
    found = graph(users=[], all=[dn("users")]).memberships()

    assert found.of("ann", 500) == {"id-users", "id-all"}
    assert found.of("ann", 9999) == frozenset()


def test_a_deep_chain_of_groups_is_no_problem() -> None:
    """More levels than Python's recursion goes."""
    chain = {f"g{number}": [ANN] if number == 0 else [dn(f"g{number - 1}")] for number in range(1500)}
    found = graph(**chain).memberships()

    assert len(found.of("ann", None)) == 1500


@pytest.mark.parametrize(
    ("include", "exclude", "names"),
    [
        (("*",), (), ["staff", "staff-admins", "visitors"]),
        (("staff*",), ("*-admins",), ["staff"]),
        (("STAFF",), (), ["staff"]),
        ((), (), []),
        (("visitor?",), (), ["visitors"]),
        (("staff", "visitors"), ("v*",), ["staff"]),
    ],
)
def test_wildcards_choose_groups(include: tuple[str, ...], exclude: tuple[str, ...], names: list[str]) -> None:
    """Case does not matter; what is excluded wins."""
    told = provider(Vendor.OPENLDAP, groups_include=include, groups_exclude=exclude)
    selection = Selection.of(told)

    assert names == [name for name in ("staff", "staff-admins", "visitors") if selection.takes(group(name))]


def test_required_groups_admit_their_members_only() -> None:
    """Without any, everybody."""
    some = Selection.of(provider(Vendor.OPENLDAP, groups_required=["staff*"]))

    assert some.admits([group("x"), group("staff-a")])
    assert not some.admits([group("x")])
    assert not some.admits([])
    assert Selection.of(provider(Vendor.OPENLDAP)).admits([])


def test_a_groups_entry_is_read_or_told_why_not() -> None:
    """A name that no group can have stays a group that others may be in, but is none here."""
    preset = preset_of(provider(Vendor.OPENLDAP))

    good = group_of(entry(entryUUID=str(GUID), cn="Staff"), preset)
    bad = group_of(entry(entryUUID=str(GUID), cn="a/b"), preset)
    assert good is not None
    assert bad is not None
    assert (good.name, good.problem) == ("staff", "")
    assert (bad.name, "cannot be a group's name" in bad.problem) == ("", True)
    assert group_of(entry(cn="Staff"), preset) is None


def test_the_relative_id_is_the_last_part_of_a_sid() -> None:
    """Little-endian; what is no SID has none."""
    sid = bytes.fromhex("010500000000000515000000") + b"\1\2\3\4" * 3 + (513).to_bytes(4, "little")

    assert relative_id(entry(objectSid=sid)) == 513
    assert relative_id(entry(objectSid=b"x")) is None
    assert relative_id(entry()) is None


@dataclass
class Ranges:
    """A domain controller's one group with many members; hands out so many at a time."""

    members: list[str]
    step: int = 3
    breaks_at: int | None = None
    host: str = "dc1"
    asked: list[str] = field(default_factory=list)

    def pages(self, base: str, wanted: str, attributes: Sequence[str]) -> list[list[Entry]]:
        return [[self._entry("member", 0)]]

    def search(self, base: str, wanted: str, attributes: Sequence[str], **_options: Scope | int) -> list[Entry]:
        self.asked.append(attributes[0])
        match = re.fullmatch(r"member;range=(\d+)-\*", attributes[0])
        assert match is not None
        if self.breaks_at is not None and int(match[1]) >= self.breaks_at:
            return [entry(objectGUID=GUID.bytes_le)]
        return [self._entry("member", int(match[1]))]

    def _entry(self, name: str, first: int) -> Entry:
        part = self.members[first : first + self.step]
        last = "*" if first + self.step >= len(self.members) else str(first + len(part) - 1)
        return entry(objectGUID=GUID.bytes_le, sAMAccountName="big", **{f"{name};range={first}-{last}": part})


def read(connection: Ranges) -> list[str]:
    told = provider(Vendor.ACTIVE_DIRECTORY)
    people = People({f"cn=p{number},dc=corp": f"p{number}" for number in range(100)}, {})
    found = read_groups(connection, told, preset_of(told), people, lambda _page: None)  # type: ignore[arg-type]  # stands in for a connection
    return sorted(found.people)


@pytest.mark.parametrize("count", [1, 3, 4, 10])
def test_members_that_come_in_ranges_come_all(count: int) -> None:
    """Each range is asked for where the last one ended, until the server says that it was the last."""
    members = [f"CN=p{number},DC=corp" for number in range(count)]

    assert sorted(f"p{number}" for number in range(count)) == read(Ranges(members))


def test_ranges_that_stop_are_an_error_and_no_small_group() -> None:
    """Half a group would take everybody else's access away."""
    with pytest.raises(DirectoryUnreachable, match="stopped after 6"):
        read(Ranges([f"CN=p{number},DC=corp" for number in range(10)], breaks_at=6))
