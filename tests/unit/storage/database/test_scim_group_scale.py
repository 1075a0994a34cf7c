"""One membership of a group of 50,000 costs what one of a group of ten does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, insert

from storage.database.changes import MapRole
from storage.database.records import Owner, Role
from storage.database.scim_changes import AddMembers, ClearMembers, RemoveMembers
from storage.database.scim_tables import scim_users
from storage.database.store import Store
from storage.database.tables import identities, memberships, users
from tests.support.scim_rows import ENTRA, held, join, leave, make_scim_group, regroup
from tests.support.store_rows import ACTOR

MANY = 50_000


@contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    """Give the texts of the statements that run inside; one for many rows counts once."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        found.append(statement)

    event.listen(store._database.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(store._database.engine, "before_cursor_execute", note)


def crowd(store: Store, group_id: str, count: int) -> list[str]:
    """Write the rows of so many members of a group, faster than their changes would."""
    ids = [f"{number:032x}" for number in range(count)]
    person = {
        "method": "saml", "status": "active", "epoch": 1, "display_name": "", "email": "", "provider": ENTRA,
        "role": "user", "break_glass": False, "managed_by": "scim", "protocols": [], "networks": [],
        "totp_enrolled": False, "created_at": 1.0, "updated_at": 1.0,
    }  # fmt: skip
    said = {"provider": ENTRA, "document": {}, "version": 1, "created_at": 1.0, "modified_at": 1.0}
    with store._database.write() as connection:
        connection.execute(insert(users), [person | {"id": one, "name": one, "home": one} for one in ids])
        link = {"provider": ENTRA, "linked_at": 1.0, "hint": "", "active": True}
        connection.execute(insert(identities), [link | {"user_id": one, "external_id": one} for one in ids])
        connection.execute(insert(scim_users), [said | {"user_id": one, "user_name": one} for one in ids])
        own = {"group_id": group_id, "owner": Owner.SCIM.value}
        connection.execute(insert(memberships), [own | {"user_id": one} for one in ids])
    return ids


@pytest.mark.long
def test_one_more_of_fifty_thousand(store: Store) -> None:
    """Adding, removing, renaming, asking and deleting run the same statements, and none reads all members."""
    few, many = make_scim_group(store, "Few", external_id="g-few"), make_scim_group(store, "Many", external_id="g-many")
    for name in ("g-few", "g-many"):
        store.apply(MapRole(ENTRA, name, Role.GROUP_ADMIN, name), actor=ACTOR)
    ids = crowd(store, many, MANY)
    regroup(store, few, AddMembers(tuple(ids[:10])))

    def works(group: str, name: str) -> list[Callable[[], object]]:
        one = join(store, f"{name}-1").id
        other = join(store, f"{name}-2").id
        return [
            lambda: regroup(store, group, AddMembers((one, other))),
            lambda: regroup(store, group, AddMembers((one,))),
            lambda: regroup(store, group, RemoveMembers((one,))),
            lambda: regroup(store, group, display_name=f"New {name}"),
            lambda: store.scim_groups.has_member(group, other),
            lambda: store.scim_groups.of_member(ENTRA, other),
            lambda: store.scim_people.groups_of(ENTRA, [one, other]),
            lambda: leave(store, other),
        ]

    def counted(work: Callable[[], object]) -> list[str]:
        with statements(store) as found:
            work()
        return found

    small = [counted(work) for work in works(few, "few")]
    large = [counted(work) for work in works(many, "many")]

    assert [len(found) for found in small] == [len(found) for found in large]
    reads = [text for found in large for text in found if "SELECT" in text and "FROM memberships" in text]
    assert [text for text in reads if "memberships.user_id" not in text.partition("WHERE")[2]] == []


@pytest.mark.parametrize("count", [1001, 2500])
def test_a_large_move_is_one_change(store: Store, count: int) -> None:
    """One event names all instead of one for each; each member has one epoch and one revocation."""
    group = make_scim_group(store)
    ids = crowd(store, make_scim_group(store, "All"), count)
    seen, last = store.revocations.latest(), store.audit.tail(limit=1)[0].id
    done = regroup(store, group, AddMembers(tuple(ids)))
    inside = len(held(store, group))
    regroup(store, group, ClearMembers())

    assert (inside, held(store, group), set(done.users)) == (count, set(), set(ids))
    events = store.audit.tail(after_id=last)
    named = [one.detail or {} for one in events[1::2]]
    assert [one.kind for one in events] == ["group.updated", "group.members_changed"] * 2
    assert [sorted(named[0]["joined"]), sorted(named[1]["left"])] == [ids, ids]  # type: ignore[call-overload]  # JSON
    assert len(store.revocations.since(seen)) == 2 * count
    assert set(store.users.epochs(ids[:100]).values()) == {3}


@pytest.mark.long
@pytest.mark.parametrize("role", [False, True])
def test_a_few_of_many_are_found_by_their_own_index(store: Store, *, role: bool) -> None:
    """Also while the database knows nothing yet of how large the group or the provider is."""
    group = make_scim_group(store, "Crew", external_id="g-1")
    ids = crowd(store, group, 5000)
    if role:
        store.apply(MapRole(ENTRA, "g-1", Role.GROUP_ADMIN, "Crew"), actor=ACTOR)
    ran: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:  # noqa: FBT001
        if not many and not statement.startswith("INSERT"):
            ran.append((statement, parameters))

    event.listen(store._database.engine, "before_cursor_execute", note)
    regroup(store, group, RemoveMembers(tuple(ids[:400])))
    regroup(store, group, AddMembers(tuple(ids[:400])))
    event.remove(store._database.engine, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN " if store._database.is_sqlite else "EXPLAIN "
    with store._database.read() as connection:
        plans = {
            text: " ".join(str(line) for line in connection.exec_driver_sql(explain + text, parameters))
            for text, parameters in ran
            if " memberships" in text or " identities" in text or " scim_users" in text
        }

    assert len(plans) >= 2
    whole = ("ix_memberships_group_id", "uq_identities_provider", "sqlite_autoindex_identities_1", "ix_scim_users_")
    assert [text for text, plan in plans.items() if any(name in plan for name in whole)] == []
    assert any(" scim_users" in text for text in plans)


def test_a_large_move_of_roles_is_told_once(store: Store) -> None:
    """One event has everybody's new role."""
    group = make_scim_group(store, "Crew", external_id="g-1")
    ids = crowd(store, group, 1001)
    last = store.audit.tail(limit=1)[0].id
    store.apply(MapRole(ENTRA, "g-1", Role.GROUP_ADMIN, "Crew"), actor=ACTOR)
    regroup(store, group, external_id="g-2")

    events = store.audit.tail(after_id=last)
    assert [one.kind for one in events] == ["provider.role_mapped", "group.updated", "group.roles_given"]
    assert (events[2].detail or {})["roles"] == dict.fromkeys(ids, "user")
