"""What a run may do, and when it must wait: pure decisions."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from auth_backends.ldap.sync.cursor import Cursor, HighWater
from auth_backends.ldap.sync.plan import reason_to_hold, reason_to_hold_groups
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


@pytest.mark.parametrize(
    ("gone", "known", "empty", "waits"),
    [(0, 0, True, False), (1, 1, False, False), (1, 1, True, True), (2, 3, False, False), (3, 10, False, True)],
)
def test_how_many_groups_may_go_without_an_admin(gone: int, known: int, empty: bool, waits: bool) -> None:  # noqa: FBT001 - columns
    """A search that sees less is no change of the directory."""
    assert (reason_to_hold_groups(gone, known, provider(Vendor.OPENLDAP), empty=empty) is not None) is waits


TIME = preset_of(provider(Vendor.OPENLDAP))
HOUR = 3600.0
BEGUN = Cursor(ChangeMarker.MODIFY_TIMESTAMP, "ldap:636", "19700101000000Z", at=10 * HOUR)


def after(before: Cursor | None, *seen: str, at: float = 10 * HOUR) -> Cursor:
    """Give the cursor after a run that saw these changes."""
    water = HighWater(TIME)
    for moment in seen:
        water.see(entry(modifyTimestamp=moment))
    return water.next(replace(BEGUN, at=at), before)


def test_the_next_run_reads_again_what_was_being_written_then() -> None:
    """A minute before the last change, by the directory's own clock, however wrong that is."""
    first = after(None, "20260101115959Z", "20250101000000Z", "nonsense")

    assert (first.since, first.latest) == ("20260101115859Z", "20260101115959Z")
    assert first.changed_filter(TIME) == "(modifyTimestamp>=20260101115859Z)"
    assert after(None, "20260101115959.123Z").latest == "20260101115959Z"


def test_what_a_later_run_saw_no_change_of_is_read_no_more() -> None:
    """Everything of that second has been read by then."""
    first = after(None, "20260101120000Z", at=1 * HOUR)
    at_once = after(first, "20260101120000Z", at=1 * HOUR + 30)
    later = after(at_once, "20260101120000Z", at=1 * HOUR + 61)
    idle = after(later, at=2 * HOUR)

    assert (first.since, at_once.since) == ("20260101115900Z", "20260101115900Z")
    assert (later.since, idle.since) == ("20260101120001Z", "20260101120001Z")


def test_a_change_of_the_same_second_after_the_first_run_is_not_lost() -> None:
    """The second is settled only by a run that began a minute after one that had seen it."""
    first = after(None, "20260101120000Z", at=1 * HOUR)

    assert first.since <= "20260101120000Z"
    assert after(first, "20260101120500Z", at=2 * HOUR).since == "20260101120400Z"


def test_a_run_without_any_time_starts_where_it_began() -> None:
    """Nothing seen and nothing before; what another server said means nothing here."""
    elsewhere = Cursor(BEGUN.marker, "other:636", "20260101115900Z", "20260101120000Z", 1.0)

    assert after(None) == BEGUN
    assert after(elsewhere) == BEGUN


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
