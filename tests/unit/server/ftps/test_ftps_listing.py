"""Lines of LIST and MLSD."""

from __future__ import annotations

import pytest

from server.ftps.listing import directory_letters, facts_line, file_letters, list_line
from storage.files.api import Kind, Stat
from storage.files.permissions import ALL_RIGHTS, READ_ONLY

YEAR_S = 365 * 24 * 3600


def facts(*, directory: bool = False, size: int = 5, modified_s: int = 0) -> Stat:
    kind = Kind.DIRECTORY if directory else Kind.FILE
    return Stat(kind, size, modified_s * 10**9, 0, 0, "v", "i")


def test_list_shows_the_clock_for_recent_and_the_year_for_old() -> None:
    """As ls does, in UTC; a time in the far future shows its year."""
    now = 20.5 * YEAR_S

    assert list_line("a", facts(modified_s=int(now) - 60), now).split()[7].count(":") == 1
    assert list_line("a", facts(modified_s=0), now).endswith(" Jan  1  1970 a\r\n")
    assert " 2099 " in list_line("a", facts(modified_s=129 * YEAR_S + 33 * 86400), now)
    assert list_line("d", facts(directory=True), now).startswith("d")


@pytest.mark.parametrize("modified_s", [-(10**12), 10**12])
def test_a_time_outside_the_calendar_breaks_no_listing(modified_s: int) -> None:
    """It is shown as the nearest that four digits can tell."""
    line = facts_line("a", facts(modified_s=modified_s), ALL_RIGHTS, {"modify"})

    assert line in {"modify=19700101000000; a\r\n", "modify=99991231235959; a\r\n"}


def test_perm_letters() -> None:
    """RFC 3659 section 7.5.5."""
    assert file_letters(ALL_RIGHTS) == "adfrw"
    assert directory_letters(ALL_RIGHTS) == "ecdflmp"
    assert (file_letters(READ_ONLY), directory_letters(READ_ONLY)) == ("r", "el")
    assert facts_line("a b", facts(), READ_ONLY, {"perm", "size", "type"}) == "perm=r;size=5;type=file; a b\r\n"
