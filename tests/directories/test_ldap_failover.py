"""Several servers, servers that come and go, and many users at a server that is silent."""

from __future__ import annotations

import gc
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from auth_backends.api import Accepted, Reason, Rejected, Unavailable
from tests.support.directories.certificates import Authority
from tests.support.directories.hostile import Blackhole, HostileLdap, Misbehaviour, Operation
from tests.support.directories.judges import (
    ALICE,
    ALICE_ID,
    PASSWORD,
    SERVICE,
    Certificate,
    Judge,
    Judges,
    Start,
    hostile_provider,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.system

IN_TIME_S = 6.0


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


# Fail-over ---------------------------------------------------------------------------------------


def test_the_second_server_answers_for_one_that_refuses(authority: Authority, start: Start, judges: Judges) -> None:
    """A closed port costs no time."""
    with Blackhole() as hole:
        port = hole.port
    judge = judges(hostile_provider(authority, f"localhost:{port}", start(), timeout_s=5))
    verdict, took_s = judge.timed(judge.alice(), PASSWORD)

    assert isinstance(verdict, Accepted)
    assert took_s < 1.0


def test_a_black_hole_leaves_time_for_the_second_server(authority: Authority, start: Start, judges: Judges) -> None:
    """Within the five seconds; and once the breaker has opened, at once."""
    with Blackhole() as hole:
        judge = judges(hostile_provider(authority, f"127.0.0.1:{hole.port}", start(), timeout_s=5))
        verdict, took_s = judge.timed(judge.alice(), PASSWORD)
        others = [judge.timed(judge.alice(), PASSWORD) for _ in range(3)]

    assert isinstance(verdict, Accepted)
    assert took_s < 5.0
    assert all(isinstance(each, Accepted) for each, _ in others)
    assert others[-1][1] < 1.0


@pytest.mark.parametrize("mode", [Misbehaviour.SILENT_BEFORE_TLS, Misbehaviour.RESET_MID_BIND, Misbehaviour.GARBAGE])
def test_a_server_that_fails_at_searches_is_passed_over(
    mode: Misbehaviour, authority: Authority, start: Start, judges: Judges
) -> None:
    """The password goes to the server that found the entry."""
    first, second = start(mode, at=Operation.SEARCH), start()
    judge = judges(hostile_provider(authority, first, second, timeout_s=3))

    assert isinstance(judge.verdict(judge.alice(), PASSWORD), Accepted)
    assert ALICE not in first.binds
    assert ALICE in second.binds


@pytest.mark.parametrize("mode", [Misbehaviour.SILENT, Misbehaviour.RESET_MID_BIND, Misbehaviour.TRUNCATED_BER])
def test_a_password_that_went_out_is_sent_to_no_other_server(
    mode: Misbehaviour, authority: Authority, start: Start, judges: Judges
) -> None:
    """The first may have counted it as a failure, and told the second: one wrong password must not count twice."""
    first, second = start(mode), start()
    judge = judges(hostile_provider(authority, first, second))

    assert isinstance(judge.verdict(judge.alice(), "wrong"), Unavailable)
    assert first.binds.count(ALICE) == 1
    assert second.binds == []


def test_busy_servers_are_passed_over_and_wrong_service_passwords_are_not_tried_everywhere(
    authority: Authority, start: Start, judges: Judges
) -> None:
    """Each refusal of the service account counts towards its own lock-out: it is asked once, and not for every user."""
    busy = start(Misbehaviour.RESULT_CODE, service_dn=None, code=51)
    judge = judges(hostile_provider(authority, busy, start()))
    refusing = start(service_dn=None), start(service_dn=None)
    refused = judges(hostile_provider(authority, *refusing))

    assert isinstance(judge.verdict(judge.alice(), PASSWORD), Accepted)
    for _ in range(5):
        assert isinstance(refused.verdict(refused.alice(), PASSWORD), Unavailable)
    assert (refusing[0].binds, refusing[1].binds) == ([SERVICE], [])


def test_the_breaker_opens_and_a_probe_closes_it(authority: Authority, start: Start) -> None:
    """After three failures nobody asks for ten seconds; then one does, and all is well."""
    now = [1000.0]
    server = start(Misbehaviour.RESET_MID_BIND, at=Operation.SEARCH)
    with Judge(hostile_provider(authority, server), monotonic=lambda: now[0] + time.monotonic()) as judge:
        for _ in range(5):
            assert isinstance(judge.verdict(judge.alice(), PASSWORD), Unavailable)
        asked = server.connections
        server.mode = Misbehaviour.NONE
        still_open = judge.verdict(judge.alice(), PASSWORD)
        now[0] += 10.0
        closed = judge.verdict(judge.alice(), PASSWORD)

    assert isinstance(still_open, Unavailable)
    assert isinstance(closed, Accepted)
    assert asked == 3
    assert "no server answered lately" in still_open.detail


# Connections that are kept -----------------------------------------------------------------------


def test_the_search_connection_is_kept(authority: Authority, start: Start, judges: Judges) -> None:
    """One connection of the service account for many sign-ins, and one of its own for each password."""
    server = start()
    judge = judges(hostile_provider(authority, server))
    told = [judge.verdict(judge.alice(), PASSWORD) for _ in range(4)]

    assert [Accepted] * 4 == [type(each) for each in told]
    assert server.binds == [SERVICE, *[ALICE] * 4]
    assert server.connections == 5


def test_a_kept_connection_that_falls_silent_is_replaced(authority: Authority, start: Start, judges: Judges) -> None:
    """A firewall that forgot it swallows what is said on it: a fresh one answers within the same sign-in."""
    server = start(Misbehaviour.NONE, at=Operation.SEARCH)
    judge = judges(hostile_provider(authority, server, timeout_s=3))
    before = judge.verdict(judge.alice(), PASSWORD)
    server.mode = Misbehaviour.SILENT
    answers: list[object] = []
    asking = threading.Thread(target=lambda: answers.append(judge.verdict(judge.alice(), PASSWORD)))
    searches = sum(record.count(b"entryUUID") for record in server.received)
    asking.start()
    eventually(
        lambda: sum(record.count(b"entryUUID") for record in server.received) > searches, what="the unanswered search"
    )
    server.mode = Misbehaviour.NONE
    asking.join()

    assert isinstance(before, Accepted)
    assert [Accepted] == [type(each) for each in answers]


def test_every_connection_is_closed(authority: Authority, start: Start) -> None:
    """However it failed, at once and by us: no descriptor waits for the garbage to be collected."""
    with Blackhole() as hole:
        closed = f"127.0.0.1:{hole.port}"
    server = start()
    unknown = start(tls=authority.issue("unknown", dns=("other.test",)))
    refusing = start(tls=None)
    judges = [
        Judge(hostile_provider(authority, server)),
        Judge(hostile_provider(authority, closed)),
        Judge(hostile_provider(authority, unknown)),
        Judge(hostile_provider(authority, refusing, security="starttls")),
        Judge(hostile_provider(authority, start(service_dn=None))),
    ]
    judges[0].verdict(judges[0].alice(), PASSWORD)
    before = descriptors()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        for mode in (Misbehaviour.RESET_MID_BIND, Misbehaviour.NONE, Misbehaviour.GARBAGE) * 4:
            server.mode = mode
            for judge in judges:
                judge.verdict(judge.alice(), PASSWORD)
        eventually(lambda: descriptors() <= before, what="the servers' own descriptors to go")
        for judge in judges:
            judge.backend.close()
        gc.collect()

    assert [str(each.message) for each in told if issubclass(each.category, ResourceWarning)] == []


def test_other_settings_are_another_directory(authority: Authority, start: Start, judges: Judges) -> None:
    """What an admin changes holds for the next password; a provider that is gone judges nobody."""
    first, second = start(), start()
    judge = judges(hostile_provider(authority, first))
    judge.verdict(judge.alice(), PASSWORD)
    judge.provider = hostile_provider(authority, second)
    judge.verdict(judge.alice(), PASSWORD)
    judge.provider = hostile_provider(authority, second)
    judge.verdict(judge.alice(), PASSWORD)

    assert (first.binds, second.binds) == ([SERVICE, ALICE], [SERVICE, ALICE, ALICE])


# Many at once ------------------------------------------------------------------------------------


@pytest.mark.parametrize("was_well", [False, True])
def test_a_silent_directory_holds_few_threads_of_a_front_end(
    was_well: bool,  # noqa: FBT001 - a test's parameter
    authority: Authority,
    start: Start,
    judges: Judges,
) -> None:
    """Of thirty sign-ins on sixteen threads all but a few end in a moment; whoever comes next is told at once."""
    server = start(Misbehaviour.NONE if was_well else Misbehaviour.SILENT)
    judge = judges(hostile_provider(authority, server, timeout_s=5))
    accounts = [judge.account(f"user{number}", ALICE_ID, ALICE) for number in range(30)]
    if was_well:
        assert isinstance(judge.verdict(judge.alice(), PASSWORD), Accepted)
    server.mode = Misbehaviour.SILENT
    began = time.monotonic()
    with ThreadPoolExecutor(16) as front_end:
        asked = [front_end.submit(judge.timed, account, PASSWORD) for account in accounts]
        other = front_end.submit(time.monotonic)  # a sign-in that has nothing to do with it
        waited_s = other.result() - began
        told = [each.result() for each in asked]

    assert all(isinstance(verdict, Unavailable) for verdict, _ in told)
    assert waited_s < 1.5  # a moment, on a machine that is busy with other tests
    assert sum(took_s > 2.0 for _, took_s in told) <= 3
    assert max(took_s for _, took_s in told) < IN_TIME_S


def test_who_has_left_has_no_password_sent(authority: Authority, start: Start, judges: Judges) -> None:
    """What is not sent counts nowhere: the work of a caller who was told "try later" ends before the bind."""
    server = start(Misbehaviour.DRIP, at=Operation.SEARCH, drip_s=0.015)
    judge = judges(hostile_provider(authority, server, timeout_s=20))
    accounts = [judge.account(f"user{number}", ALICE_ID, ALICE) for number in range(8)]
    with ThreadPoolExecutor(8) as front_end:
        told = list(front_end.map(lambda account: judge.verdict(account, PASSWORD), accounts))
    judge.backend.close()
    eventually(
        lambda: not [each for each in threading.enumerate() if each.name.startswith("ldap-corp")], what="the work's end"
    )

    assert {Accepted, Unavailable} == {type(verdict) for verdict in told}
    assert server.binds.count(ALICE) == sum(isinstance(verdict, Accepted) for verdict in told)


def test_unheard_answers_hold_back_further_passwords(authority: Authority, start: Start, judges: Judges) -> None:
    """A server that counts but does not answer must not be brought to lock the account (L7)."""
    server = start(Misbehaviour.RESET_MID_BIND)
    judge = judges(hostile_provider(authority, server, lockout_threshold=3))
    told = [judge.verdict(judge.alice(), f"guess {number}") for number in range(2)]
    server.mode = Misbehaviour.NONE
    third = judge.verdict(judge.alice(), "guess 3")

    assert all(isinstance(verdict, Unavailable) for verdict in (*told, third))
    assert server.binds.count(ALICE) == 2


def test_answers_of_many_threads_are_their_own(
    authority: Authority, certificate: Certificate, start: Start, judges: Judges
) -> None:
    """Forty people at once, right and wrong: nobody gets somebody else's answer."""
    entries: dict[str, dict[str, list[bytes]]] = {"dc=lab,dc=test": {"dc": [b"lab"]}}
    passwords = {}
    for number in range(40):
        dn = f"uid=u{number},dc=lab,dc=test"
        entries[dn] = {
            "uid": [f"u{number}".encode()],
            "entryUUID": [f"00000000-0000-0000-0000-{number:012}".encode()],
            "objectClass": [b"inetOrgPerson"],
        }
        passwords[dn] = f"password of {number}"
    server: HostileLdap = start(entries=entries, passwords=passwords)
    judge = judges(hostile_provider(authority, server, timeout_s=10))
    people = [
        (judge.account(f"u{number}", f"00000000-0000-0000-0000-{number:012}"), number % 3 != 0) for number in range(40)
    ]
    with ThreadPoolExecutor(16) as pool:
        told = list(
            pool.map(
                lambda one: judge.verdict(one[0], f"password of {one[0].user.name[1:]}" if one[1] else "another"),
                people,
            )
        )

    assert [Accepted if right else Rejected for _, right in people] == [type(verdict) for verdict in told]
    assert Rejected(Reason.WRONG_PASSWORD) in told
