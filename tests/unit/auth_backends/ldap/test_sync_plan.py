"""What a run may do, and when it must wait: pure decisions."""

from __future__ import annotations

import json

import pytest

from auth_backends.ldap.entry import Entry
from auth_backends.ldap.sync.cursor import Cursor, HighWater
from auth_backends.ldap.sync.plan import reason_to_hold
from auth_backends.ldap.sync.spool import Spool
from auth_backends.ldap.vendors import ChangeMarker, preset_of
from config.ldap import Vendor
from tests.unit.auth_backends.ldap.test_sync_people import entry, provider


@pytest.mark.parametrize(
    ("ending", "active", "waits"),
    [
        (0, 0, False),
        (1, 1, False),
        (2, 3, False),
        (3, 5, True),  # more than half of all
        (20, 50, False),  # no more than twenty
        (21, 50, True),
        (100, 1000, False),  # a tenth
        (101, 1000, True),
    ],
)
def test_how_many_may_lose_access_without_an_admin(ending: int, active: int, waits: bool) -> None:  # noqa: FBT001 - a column
    """A share of all, but at least a number, and never more than half."""
    told = reason_to_hold(ending, active, provider(Vendor.OPENLDAP), empty=False)

    assert (told is not None) is waits


def test_an_empty_answer_always_waits() -> None:
    """Even for one user; with nobody to lose it is no event."""
    assert reason_to_hold(1, 100, provider(Vendor.OPENLDAP), empty=True)
    assert reason_to_hold(0, 0, provider(Vendor.OPENLDAP), empty=True) is None


TIME = preset_of(provider(Vendor.OPENLDAP))
BEGUN = Cursor(ChangeMarker.MODIFY_TIMESTAMP, "ldap:636", "20260101120000Z")


def changed(at: str) -> Entry:
    return entry(modifyTimestamp=at)


@pytest.mark.parametrize(
    ("seen", "since"),
    [
        (["20250101000000Z", "20251231235959Z"], "20260101000000Z"),  # just after the last change
        (["20260101115959Z"], "20260101120000Z"),
        (["20260101130000Z"], "20260101120000Z"),  # still being written when the run began
        (["20251231235959.123Z"], "20260101000000Z"),
        (["nonsense"], "20251111000000Z"),
        ([], "20251111000000Z"),
    ],
)
def test_where_the_next_run_reads_on(seen: list[str], since: str) -> None:
    """After the last change that was seen, and never later than shortly before the run began."""
    water = HighWater(TIME)
    for at in seen:
        water.see(changed(at))
    before = Cursor(BEGUN.marker, BEGUN.server, "20251111000000Z")

    assert since == water.next(BEGUN, before).since
    assert since in changed_filter(water.next(BEGUN, before))


def changed_filter(cursor: Cursor) -> str:
    return cursor.changed_filter(TIME)


def test_a_first_run_without_any_time_starts_where_it_began() -> None:
    """Nothing seen and nothing before."""
    assert HighWater(TIME).next(BEGUN, None) == BEGUN


def test_update_sequence_numbers_are_the_servers_own() -> None:
    """Read on above the highest of when the run began; another server's number means nothing."""
    preset = preset_of(provider(Vendor.ACTIVE_DIRECTORY))
    cursor = Cursor(ChangeMarker.USN_CHANGED, "dc1#ab", "41")

    assert cursor.changed_filter(preset) == "(uSNChanged>=42)"
    assert HighWater(preset).next(cursor, None) == cursor
    assert not Cursor(ChangeMarker.USN_CHANGED, "dc1#cd", "41").fits(cursor)


def test_a_cursor_is_kept_and_read() -> None:
    """Through JSON; whatever else is there is none."""
    assert Cursor.read(json.loads(json.dumps(BEGUN.kept()))) == BEGUN
    assert Cursor.read({}) is None
    assert Cursor.read({"marker": "moon", "server": "x", "since": "1"}) is None


def test_a_spool_gives_back_in_order_what_it_took() -> None:
    """Page by page, as often as asked."""
    with Spool[int]() as spool:
        for number in range(7):
            spool.append(number)
        pages = list(spool.pages(3))
        again = list(spool.pages(10))

        assert len(spool) == 7
    assert pages == [[0, 1, 2], [3, 4, 5], [6]]
    assert again == [list(range(7))]
