"""Reading a whole directory: a part of it never looks like all of it (L13)."""

from __future__ import annotations

import time

import pytest

from auth_backends.ldap.connection import Entry
from auth_backends.ldap.directory import Directory
from auth_backends.ldap.errors import AnswerMissing, AnswerUnusable, DirectoryUnreachable, SearchRefused
from tests.support.directories.certificates import Authority
from tests.support.directories.hostile import HostileLdap, Misbehaviour, Operation, Trap
from tests.support.directories.judges import BASE, Start, hostile_provider
from tests.support.directories.ldap_wire import Attributes

pytestmark = pytest.mark.system

MANY: dict[str, Attributes] = {
    f"uid=u{number},{BASE}": {"uid": [f"u{number}".encode()], "member": [b"a", b"b", b"c"]} for number in range(10)
}


def read(authority: Authority, server: HostileLdap, *, each_s: float = 1.0) -> list[list[Entry]]:
    directory = Directory(hostile_provider(authority, server))
    try:
        with directory.reader() as connection:
            connection.each_s = each_s
            return list(connection.pages(BASE, "(uid=*)", ("uid",)))
    finally:
        directory.close()


def test_everything(authority: Authority, start: Start) -> None:
    """All entries, with the attributes that were asked for."""
    [page] = read(authority, start(entries=MANY))

    assert [entry.text("uid") for entry in page] == [f"u{number}" for number in range(10)]


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        (Misbehaviour.SILENT, AnswerMissing),
        (Misbehaviour.TRUNCATED_BER, AnswerMissing),
        (Misbehaviour.RESET_MID_BIND, AnswerMissing),
        (Misbehaviour.DISCONNECT_NOTICE, AnswerMissing),
        (Misbehaviour.GARBAGE, AnswerUnusable),
        (Misbehaviour.WRONG_MESSAGE_ID, AnswerUnusable),
        (Misbehaviour.RESULT_CODE, SearchRefused),
    ],
)
def test_a_page_that_does_not_come_is_an_error(
    mode: Misbehaviour, error: type[DirectoryUnreachable], authority: Authority, start: Start
) -> None:
    """Not the end, and not an empty directory."""
    with pytest.raises(error):
        read(authority, start(mode, at=Operation.SEARCH, entries=MANY, code=52))


@pytest.mark.parametrize("code", [3, 4, 11, 32, 51, 53])
def test_half_an_answer_is_an_error(code: int, authority: Authority, start: Start) -> None:
    """Entries, then a size or time limit: whoever was not among them has not left."""
    with pytest.raises(SearchRefused) as caught:
        read(authority, start(Misbehaviour.PARTIAL_RESULTS, entries=MANY, code=code))

    assert code == caught.value.code


@pytest.mark.parametrize(
    "mode", [Misbehaviour.ENDLESS_PAGES, Misbehaviour.ENDLESS_ENTRIES, Misbehaviour.OVERSIZED_ENTRY]
)
def test_an_answer_without_end_is_an_error(mode: Misbehaviour, authority: Authority, start: Start) -> None:
    """The same page again and again, entries for ever, an entry of 2 GiB."""
    began = time.monotonic()
    with pytest.raises(AnswerUnusable):
        read(authority, start(mode, entries=MANY), each_s=10.0)

    assert time.monotonic() - began < 6.0


def test_a_drip_is_cut_off(authority: Authority, start: Start) -> None:
    """A byte now and then does not hold the sync: each page has its time as a whole."""
    began = time.monotonic()
    with pytest.raises(AnswerMissing):
        read(authority, start(Misbehaviour.DRIP, at=Operation.SEARCH, entries=MANY, drip_s=0.2))

    assert time.monotonic() - began < 3.0


def test_referrals_are_not_followed(authority: Authority, start: Start) -> None:
    """Neither as the result nor among the entries."""
    with Trap() as trap:
        with pytest.raises(SearchRefused):
            read(authority, start(Misbehaviour.REFERRAL_ON_SEARCH, entries=MANY, trap_url=trap.url))

        assert trap.connections == 0


def test_ranges_keep_their_names(authority: Authority, start: Start) -> None:
    """Attributes that come in parts are given as parts: whoever takes one for the whole would lose members."""
    directory = Directory(hostile_provider(authority, start(entries=MANY, max_values=2)))
    with directory.reader() as connection:
        [page] = connection.pages(BASE, "(uid=u1)", ("member",))
    directory.close()

    assert dict(page[0].attributes) == {"member": (), "member;range=0-1": (b"a", b"b")}
