"""Listings that are being read while rights change."""

from __future__ import annotations

import pytest

from storage.files.errors import PermissionDenied
from storage.files.memory import MemoryFilesystem
from storage.files.workspace import Workspace
from tests.support.trees import P, put, table


@pytest.mark.parametrize("rights", ["upload-only", "none"])
def test_a_listing_ends_when_the_right_to_list_is_taken_away(rights: str) -> None:
    """The names that were not given yet stay unsaid."""
    home = MemoryFilesystem()
    owner = Workspace(table({"/": "full"}, {"/": home}))
    owner.mkdir(P("/d"))
    for number in range(10):
        put(owner, f"/d/{number}", b"")
    session = Workspace(table({"/": "read-only"}, {"/": home}))
    entries = session.scan(P("/d"))
    first = next(entries)
    session.replace_mounts(table({"/": rights}, {"/": home}))

    assert first.name
    with pytest.raises(PermissionDenied):
        next(entries)


def test_a_listing_goes_on_when_other_rights_change() -> None:
    """Losing the right to write does not end a listing."""
    home = MemoryFilesystem()
    session = Workspace(table({"/": "full"}, {"/": home}))
    for number in range(10):
        put(session, f"/{number}", b"")
    entries = session.scan(P("/"))
    next(entries)
    session.replace_mounts(table({"/": "read-only"}, {"/": home}))

    assert len(list(entries)) == 9
