"""Passwords and directories that misbehave: nobody gets in, and an answer comes in time."""

from __future__ import annotations

import pytest

from auth_backends.api import Accepted, Reason, Rejected, Unavailable
from tests.support.directories.certificates import Authority
from tests.support.directories.hostile import Blackhole, Misbehaviour, Operation, Trap
from tests.support.directories.judges import ALICE, ALICE_ID, PASSWORD, SERVICE, Judges, Start, hostile_provider

pytestmark = pytest.mark.system

IN_TIME_S = 6.0


def test_good_manners(authority: Authority, start: Start, judges: Judges) -> None:
    """The server lets in by the right password and refuses a wrong one: what the other tests misbehave from."""
    server = start()
    judge = judges(hostile_provider(authority, server))

    assert isinstance(judge.verdict(judge.alice(), PASSWORD), Accepted)
    assert Rejected(Reason.WRONG_PASSWORD) == judge.verdict(judge.alice(), "wrong")
    assert {SERVICE, ALICE} == set(server.binds)


# No answer, or none that can be believed ---------------------------------------------------------


@pytest.mark.parametrize("at", [Operation.BIND, Operation.SEARCH])
@pytest.mark.parametrize(
    "mode",
    [
        Misbehaviour.SILENT,
        Misbehaviour.DRIP,
        Misbehaviour.RESET_MID_BIND,
        Misbehaviour.TRUNCATED_BER,
        Misbehaviour.GARBAGE,
        Misbehaviour.DISCONNECT_NOTICE,
        Misbehaviour.WRONG_MESSAGE_ID,
    ],
)
def test_a_spoilt_answer_is_no_verdict(
    mode: Misbehaviour, at: Operation, authority: Authority, start: Start, judges: Judges
) -> None:
    """Silence, a drip, a reset, half a message, garbage: cannot tell, in time, for right and wrong alike (L6)."""
    judge = judges(hostile_provider(authority, start(mode, at=at, drip_s=0.4)))

    for password in (PASSWORD, "wrong"):
        verdict, took_s = judge.timed(judge.alice(), password)
        assert isinstance(verdict, Unavailable), verdict
        assert took_s < 2.0  # of timeout_s = 1


@pytest.mark.parametrize("mode", [Misbehaviour.SILENT, Misbehaviour.SILENT_BEFORE_TLS, Misbehaviour.DRIP])
def test_a_silent_server_is_answered_for_within_six_seconds(
    mode: Misbehaviour, authority: Authority, start: Start, judges: Judges
) -> None:
    """With the time that providers have by default."""
    judge = judges(hostile_provider(authority, start(mode), timeout_s=5))
    verdict, took_s = judge.timed(judge.alice(), PASSWORD)

    assert isinstance(verdict, Unavailable)
    assert took_s < IN_TIME_S


def test_a_black_hole_is_answered_for_within_six_seconds(authority: Authority, judges: Judges) -> None:
    """A server whose address swallows everything."""
    with Blackhole() as hole:
        judge = judges(hostile_provider(authority, f"127.0.0.1:{hole.port}", timeout_s=5))
        verdict, took_s = judge.timed(judge.alice(), PASSWORD)

    assert isinstance(verdict, Unavailable)
    assert took_s < IN_TIME_S


def test_a_closed_port_is_no_verdict(authority: Authority, judges: Judges) -> None:
    """Nobody listens."""
    with Blackhole() as hole:
        port = hole.port
    judge = judges(hostile_provider(authority, f"127.0.0.1:{port}"))
    verdict, took_s = judge.timed(judge.alice(), PASSWORD)

    assert isinstance(verdict, Unavailable)
    assert took_s < 1.0


@pytest.mark.parametrize("mode", [Misbehaviour.OVERSIZED_ENTRY, Misbehaviour.ENDLESS_ENTRIES])
def test_an_answer_without_end_is_cut_short(
    mode: Misbehaviour, authority: Authority, start: Start, judges: Judges
) -> None:
    """An entry of 2 GiB, and entries for ever: neither memory nor time goes with them."""
    judge = judges(hostile_provider(authority, start(mode), timeout_s=5))
    verdict, took_s = judge.timed(judge.alice(), PASSWORD)

    assert isinstance(verdict, Unavailable)
    assert took_s < IN_TIME_S


@pytest.mark.parametrize("code", [1, 2, 3, 7, 8, 10, 13, 14, 50, 51, 52, 53, 80, 118])
def test_a_result_that_says_nothing_of_the_password_is_no_verdict(
    code: int, authority: Authority, start: Start, judges: Judges
) -> None:
    """Busy, unavailable, stronger authentication required, and what is unknown."""
    judge = judges(hostile_provider(authority, start(Misbehaviour.RESULT_CODE, code=code)))

    assert isinstance(judge.verdict(judge.alice(), PASSWORD), Unavailable)


@pytest.mark.parametrize(("code", "reason"), [(32, Reason.DIRECTORY_NO_ENTRY), (48, Reason.NO_PASSWORD_SET)])
def test_a_sure_no(code: int, reason: Reason, authority: Authority, start: Start, judges: Judges) -> None:
    """No such entry, and no password in it."""
    judge = judges(hostile_provider(authority, start(Misbehaviour.RESULT_CODE, code=code)))

    assert Rejected(reason) == judge.verdict(judge.alice(), PASSWORD)


# Referrals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [Misbehaviour.REFERRAL_ON_BIND, Misbehaviour.REFERRAL_ON_SEARCH])
def test_a_referral_is_never_followed(mode: Misbehaviour, authority: Authority, start: Start, judges: Judges) -> None:
    """ldap3's default takes the service password there in clear text (L3)."""
    with Trap() as trap:
        judge = judges(hostile_provider(authority, start(mode, trap_url=trap.url)))
        verdict = judge.verdict(judge.alice(), PASSWORD)

        assert trap.connections == 0
        assert isinstance(verdict, Unavailable)


# Entries that were not asked for -----------------------------------------------------------------


@pytest.mark.parametrize("hint", [ALICE, ""])
@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (Misbehaviour.TWO_ENTRIES, Reason.DIRECTORY_AMBIGUOUS),
        (Misbehaviour.FOREIGN_ENTRY, Reason.DIRECTORY_OUTSIDE_BASE),
    ],
)
def test_an_entry_that_was_not_asked_for_is_refused(
    mode: Misbehaviour, reason: Reason, hint: str, *, authority: Authority, start: Start, judges: Judges
) -> None:
    """Two entries match, or one outside the base: no password goes to either, though every bind would succeed."""
    server = start(mode)
    judge = judges(hostile_provider(authority, server))
    verdict = judge.verdict(judge.account("alice", ALICE_ID, hint), PASSWORD)

    assert Rejected(reason) == verdict
    assert {SERVICE} == set(server.binds)


def test_an_entry_with_another_id_is_not_believed(authority: Authority, start: Start, judges: Judges) -> None:
    """The server says that the filter matched; the id says otherwise. One such entry keeps nobody else out."""
    server = start(Misbehaviour.WRONG_ID)
    judge = judges(hostile_provider(authority, server))
    told = [judge.verdict(judge.alice(), PASSWORD) for _ in range(4)]
    bound = set(server.binds)
    server.mode = Misbehaviour.NONE

    assert {Unavailable} == {type(verdict) for verdict in told}
    assert {SERVICE} == bound
    assert isinstance(judge.verdict(judge.alice(), PASSWORD), Accepted)
