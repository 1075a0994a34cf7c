"""The circuit breaker of SCIM clients, and the ends that wait behind it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from storage.database.changes import (
    AdoptUser,
    DeleteUser,
    LinkIdentity,
    SetMethod,
    SetStatus,
    UnlinkIdentity,
    UpdateUser,
    UserFields,
)
from storage.database.records import Method, Owner, Status
from storage.database.scim_changes import ApproveEnds, DismissEnds, EndLimit, ScimDeleteUser
from storage.database.store import Applied, Conflict, Held, Store, open_store
from tests.support.scim_rows import (
    CLIENT,
    ENTRA,
    OKTA,
    creation,
    join,
    join_many,
    leave,
    make_scim_group,
    person,
    put_out,
    revision,
    said_of,
    say,
    say_at,
)
from tests.support.store_rows import ACTOR, make_user, user_again

DAY_S = 86_400.0
NOW = 1_900_000_000.0


@pytest.fixture
def other(store_url: str) -> Iterator[Store]:
    """A second store of the same database, as another worker process has."""
    opened = open_store(store_url)
    yield opened
    opened.close()


def passed(answers: list[object]) -> int:
    """Give how many ends were made; every other one must have been held."""
    assert all(isinstance(answer, (Applied, Held)) for answer in answers)
    return sum(isinstance(answer, Applied) for answer in answers)


def out(store: Store, ids: list[str]) -> set[str]:
    return {one for one in ids if user_again(store, one).status is Status.DEPROVISIONED}


def wait_for(store: Store, ids: list[str], action: str = "disable", provider: str = ENTRA) -> None:
    """Let each of these wait for an admin."""
    for number, one in enumerate(ids):
        store.scim_waiting.hold(provider, one, action, "a burst", float(number))


def as_shown(store: Store, ids: Iterable[str], otherwise: str = "disable") -> tuple[tuple[str, str], ...]:
    """Give these ends as an admin is shown them: each with what waits, or would wait, of it."""
    actions = {end.user_id: end.action for end in store.scim_waiting.held()}
    return tuple((one, actions.get(one, otherwise)) for one in ids)


def waiting(store: Store) -> set[str]:
    return {end.user_id for end in store.scim_waiting.held()}


# The limit ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("people", "allowed"),
    [(20, 20), (21, 20), (209, 20), (210, 21)],
)
def test_twenty_or_a_tenth_may_end_within_a_day(store: Store, people: int, allowed: int) -> None:
    """Whichever is more, of those who were active; the next is held, and so is every later one."""
    ids = join_many(store, people)
    answers = put_out(store, ids)

    assert passed(answers) == allowed
    assert [isinstance(answer, Held) for answer in answers] == [False] * allowed + [True] * (people - allowed)
    assert len(out(store, ids)) == allowed


def test_the_share_does_not_shrink_with_those_who_left(store: Store) -> None:
    """Half of the tenth now and half of it later are the tenth; deletes count as much."""
    ids = join_many(store, 300)
    first = passed(put_out(store, ids[:15]))
    deletes = [ScimDeleteUser(ENTRA, one) for one in ids[15:50]]
    second = passed(list(store.apply_each(deletes, actor=CLIENT)))

    assert (first, second) == (15, 15)


def test_a_limit_of_nothing_lets_nobody_end(store: Store) -> None:
    """And the message says what to do."""
    (only,) = join_many(store, 1)
    with pytest.raises(Held, match=r"0 users of entra .* at most 0 may\. Next: quaymaster scim held entra"):
        say(store, only, active=False, limit=EndLimit(0, 0))

    assert passed(put_out(store, [only], limit=EndLimit(0, 100))) == 1


def test_the_day_passes(store: Store) -> None:
    """What ended a day ago counts no more, a moment before it does."""
    ids = join_many(store, 3)
    one = EndLimit(1, 0)
    say_at(store, revision(store, ids[0], active=False, limit=one), NOW)
    with pytest.raises(Held):
        say_at(store, revision(store, ids[1], active=False, limit=one), NOW + DAY_S - 1)
    say_at(store, revision(store, ids[1], active=False, limit=one), NOW + DAY_S)

    assert out(store, ids) == set(ids[:2])


def test_who_comes_back_counts_no_more_and_who_was_out_does_not_count(store: Store) -> None:
    """The limit is about people who are out: not about how often one was, nor about whom somebody else put out."""
    ids = join_many(store, 5)
    one = EndLimit(1, 0)
    for _ in range(3):
        say(store, ids[0], active=False, limit=one)
        say(store, ids[0], active=True, limit=one)
    store.apply(SetStatus(ids[1], Status.DISABLED), actor=ACTOR)
    say(store, ids[1], active=False, limit=one)
    join(store, "born.inactive", active=False)
    say(store, ids[2], active=False, limit=one)
    leave(store, ids[2])
    with pytest.raises(Held):
        say(store, ids[3], active=False, limit=one)

    assert out(store, ids) == {ids[2]}


def test_whom_an_admin_lets_in_again_counts_no_more(store: Store) -> None:
    """However it came about: the client's own word changes nothing then, and must not be waited for."""
    ids = join_many(store, 2)
    one = EndLimit(1, 0)
    say(store, ids[0], active=False, limit=one)
    store.apply(SetStatus(ids[0], Status.DISABLED), actor=ACTOR)
    say(store, ids[0], active=True, limit=one)
    store.apply(SetStatus(ids[0], Status.ACTIVE), actor=ACTOR)
    say(store, ids[0], active=True, limit=one)

    assert passed(put_out(store, ids[1:], limit=one)) == 1


def test_each_provider_has_its_own_count(store: Store) -> None:
    """Neither its ends nor its people count for another."""
    entra, okta = join_many(store, 2), join_many(store, 2, provider=OKTA, prefix="okta")
    one = EndLimit(1, 0)

    assert passed(put_out(store, entra, limit=one)) == 1
    assert passed(put_out(store, okta, limit=one)) == 1


def test_deleting_and_making_people_again_is_no_way_around(store: Store) -> None:
    """A client that makes those whom it put out anew, still inactive, has put them out all the same."""
    ids = join_many(store, 30)
    put_out(store, ids[:20])
    for number in range(20):
        leave(store, ids[number])
        join(store, f"user-{number:05}", active=False)

    assert passed(put_out(store, ids[20:])) == 0


def test_two_at_once_cannot_both_slip_through(store: Store, other: Store) -> None:
    """Of eight threads of two workers that each put out another one, as many come through as may."""
    for attempt in range(3):
        ids = join_many(store, 8, prefix=f"try{attempt}-")
        limit = EndLimit(5 * (attempt + 1), 0)
        changes = [revision(store, one, active=False, limit=limit) for one in ids]
        barrier = threading.Barrier(8)

        def end(number: int, changes: list = changes, barrier: threading.Barrier = barrier) -> object:
            barrier.wait(10)
            try:
                return (store, other)[number % 2].apply(changes[number], actor=CLIENT)
            except Conflict as refused:
                return refused

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(end, range(8)))

        assert passed(answers) == 5 == len(out(store, ids))


# What waits ---------------------------------------------------------------------------------------


def test_a_held_end_waits_once(store: Store) -> None:
    """Asked again, the first time stays and the newest words count; ordered by provider and name."""
    bea, ann = join(store, "bea"), join(store)
    okta = join(store, "zoe", provider=OKTA)
    new = store.scim_waiting.hold(ENTRA, ann.id, "disable", "a\nburst", 1.0)
    again = store.scim_waiting.hold(ENTRA, ann.id, "delete", "more", 2.0)
    store.scim_waiting.hold(ENTRA, bea.id, "disable", "more", 3.0)
    store.scim_waiting.hold(OKTA, okta.id, "disable", "more", 4.0)

    ends = store.scim_waiting.held()
    assert (new, again) == (True, False)
    assert [(end.provider, end.user_name) for end in ends] == [(ENTRA, "ann"), (ENTRA, "bea"), (OKTA, "zoe")]
    assert (ends[0].action, ends[0].reason, ends[0].since, ends[0].asked_at) == ("delete", "more", 1.0, 2.0)
    assert [end.user_id for end in store.scim_waiting.held(OKTA)] == [okta.id]


def test_a_user_who_is_no_more_waits_for_nothing(store: Store) -> None:
    """Deleted by an admin, ended after all, deleted by the client, or moved to another source."""
    ids = join_many(store, 4)
    wait_for(store, ids)
    store.apply(DeleteUser(ids[0]), actor=ACTOR)
    say(store, ids[1], active=False)
    leave(store, ids[2])
    store.apply(SetMethod(ids[3], Method.LDAP, "corp"), actor=ACTOR)

    assert waiting(store) == set()
    with pytest.raises(Conflict):
        store.scim_waiting.hold(ENTRA, ids[0], "disable", "a burst", 1.0)


@pytest.mark.parametrize("fields", [{}, {"displayName": "Ann"}])
def test_an_end_that_the_client_takes_back_waits_no_more(store: Store, fields: dict[str, str]) -> None:
    """The last word counts, also one that changes nothing else: an admin's approval would end a person who stays."""
    user = join(store)
    wait_for(store, [user.id])
    done = say(store, user, active=True, **fields)
    again = say(store, user, active=True)
    store.apply(ApproveEnds(ENTRA, as_shown(store, (user.id,))), actor=ACTOR)

    withdrawn = store.audit.tail(kind="scim.end_withdrawn")
    assert (done.changed, done.users) == (True, ())
    assert [(event.subject, event.actor) for event in withdrawn] == [("ann", CLIENT)]
    assert (again.changed, waiting(store)) == (False, set())
    assert said_of(store, user).version == 1 + bool(fields)
    assert user_again(store, user).status is Status.ACTIVE


def test_an_end_waits_on_when_the_client_speaks_of_other_things(store: Store) -> None:
    """A new title says nothing of access: whoever was to end is still to end."""
    user, gone = join(store), join(store, "zoe")
    wait_for(store, [user.id])
    wait_for(store, [gone.id], "delete")
    change = replace(revision(store, user, title="Captain"), says_active=False)
    store.apply(change, actor=CLIENT)
    say(store, gone, active=True)

    assert waiting(store) == {user.id, gone.id}


def test_an_approval_of_another_action_ends_nobody(store: Store) -> None:
    """Who was shown as to be disabled is not deleted because the client asked for more meanwhile."""
    user = join(store)
    wait_for(store, [user.id])
    shown = as_shown(store, [user.id])
    store.scim_waiting.hold(ENTRA, user.id, "delete", "a burst", 9.0)
    done = store.apply(ApproveEnds(ENTRA, shown), actor=ACTOR)

    assert (done.changed, waiting(store)) == (False, {user.id})
    assert user_again(store, user).status is Status.ACTIVE


def test_an_end_by_a_create_waits_for_an_admin(store: Store) -> None:
    """A person whom an admin handed over comes inactive: held as any other end, and ended by the approval."""
    user = make_user(store, "ann", Method.LOCAL)
    store.apply(AdoptUser(user.id, ENTRA, Owner.SCIM, Method.SAML, "oid-ann"), actor=ACTOR)
    change = replace(creation(person("ann", "oid-ann", active=False)), limit=EndLimit(0, 0))
    with pytest.raises(Held) as refused:
        store.apply(change, actor=CLIENT)
    store.scim_waiting.hold(ENTRA, refused.value.user_id, "disable", "a burst", 1.0)
    store.apply(ApproveEnds(ENTRA, as_shown(store, [user.id])), actor=ACTOR)

    assert refused.value.user_id == user.id
    assert user_again(store, user).status is Status.DEPROVISIONED
    with pytest.raises(Conflict):
        store.apply(SetStatus(user.id, Status.ACTIVE), actor=ACTOR)


def test_approval_ends_those_who_were_shown(store: Store) -> None:
    """Whoever came after them keeps waiting; one event each, one epoch each, and one that says who approved."""
    ids = join_many(store, 4)
    wait_for(store, ids[:2])
    wait_for(store, ids[2:3], "delete")
    shown = tuple(end.user_id for end in store.scim_waiting.held(ENTRA))
    wait_for(store, ids[3:])
    seen, event = store.revocations.latest(), store.audit.tail(limit=1)[0].id
    done = store.apply(ApproveEnds(ENTRA, as_shown(store, shown)), actor="admin")

    events = store.audit.tail(after_id=event)
    assert set(done.users) == set(shown) == out(store, ids)
    assert waiting(store) == {ids[3]}
    assert [(one.kind, one.actor) for one in events] == [("scim.ends_approved", "admin")] + [
        ("user.deprovisioned", "admin")
    ] * 3
    assert sorted(row.user_id or "" for row in store.revocations.since(seen)) == sorted(shown)
    assert {user_again(store, one).epoch for one in shown} == {2}
    assert (said_of(store, ids[0]).document["active"], said_of(store, ids[0]).deleted_at) == (False, None)
    assert said_of(store, ids[2]).deleted_at is not None


def test_an_approved_document_keeps_its_words(store: Store) -> None:
    """Nothing but the access ends: name, addresses, external id and the rest stay as the client said them."""
    user = join(store, "Ann", "oid-1", displayName="Ann A.", emails=[{"value": "A@example.org"}], title="Captain")
    before = said_of(store, user)
    wait_for(store, [user.id])
    store.apply(ApproveEnds(ENTRA, as_shown(store, (user.id,))), actor=ACTOR)

    assert said_of(store, user).document == before.document | {"active": False}
    assert store.scim_people.by_email(ENTRA, "a@example.org") == [said_of(store, user)]
    assert store.scim_people.by_external_id(ENTRA, "oid-1") == said_of(store, user)
    ended = user_again(store, user)
    assert (ended.name, ended.display_name, ended.email) == ("ann", "Ann A.", "A@example.org")


def test_after_an_approval_counting_starts_anew(store: Store) -> None:
    """Neither the approved ends nor those before them count; the next ones do."""
    ids = join_many(store, 60)
    put_out(store, ids[:20])
    wait_for(store, ids[20:22])
    store.apply(ApproveEnds(ENTRA, as_shown(store, tuple(ids[20:22]))), actor=ACTOR)

    assert passed(put_out(store, ids[22:])) == 20
    say(store, ids[0], active=True)
    assert passed(put_out(store, ids[:1])) == 0


def test_an_approval_of_nothing_is_told_so(store: Store) -> None:
    """Nobody who was not held ends by it, and another provider's waiting do not."""
    user, okta = join(store), join(store, "zoe", provider=OKTA)
    wait_for(store, [okta.id], provider=OKTA)
    done = store.apply(ApproveEnds(ENTRA, as_shown(store, (user.id, okta.id, "0" * 32))), actor=ACTOR)

    assert (done.changed, done.users, done.detail["approved"]) == (False, (), 0)
    assert waiting(store) == {okta.id}
    assert {user_again(store, one).status for one in (user, okta)} == {Status.ACTIVE}


def test_an_approval_ends_nobody_who_is_somebody_elses_by_now(store: Store) -> None:
    """What waited is forgotten; the others end all the same, also those whose link an admin has changed."""
    ids = join_many(store, 4)
    wait_for(store, ids)
    store.apply(UpdateUser(ids[0], UserFields(managed_by=Owner.MANUAL)), actor=ACTOR)
    store.apply(UnlinkIdentity(ids[1], ENTRA, "oid-user-00001"), actor=ACTOR)
    store.apply(LinkIdentity(ids[2], ENTRA, "oid-second"), actor=ACTOR)
    store.apply(SetStatus(ids[3], Status.DISABLED), actor=ACTOR)
    before = user_again(store, ids[3])
    alone = store.apply(ApproveEnds(ENTRA, as_shown(store, tuple(ids[3:]))), actor=ACTOR)
    done = store.apply(ApproveEnds(ENTRA, as_shown(store, tuple(ids))), actor=ACTOR)

    assert (alone.changed, alone.users, said_of(store, ids[3]).document["active"]) == (True, (), False)
    assert (set(done.users), out(store, ids)) == (set(ids[1:3]), set(ids[1:3]))
    assert (user_again(store, ids[3]), waiting(store)) == (before, set())


def test_an_approval_of_a_deleted_person_keeps_the_groups_apart(store: Store) -> None:
    """A delete that waited takes the client's memberships with it, as one that did not wait."""
    user = join(store)
    crew = make_scim_group(store, "Crew", user.id)
    wait_for(store, [user.id], "delete")
    store.apply(ApproveEnds(ENTRA, as_shown(store, (user.id,))), actor=ACTOR)

    assert store.scim_groups.members(crew) == []
    assert store.scim_people.by_id(ENTRA, user.id) is None


def test_thousands_can_be_approved_and_dismissed(store: Store) -> None:
    """More than one statement may name."""
    named = tuple(f"{number:032x}" for number in range(70_000))
    approved = store.apply(ApproveEnds(ENTRA, as_shown(store, named)), actor=ACTOR)
    dismissed = store.apply(DismissEnds(ENTRA, named), actor=ACTOR)

    assert (approved.changed, dismissed.changed) == (False, False)


def test_dismissal_lets_people_stay(store: Store) -> None:
    """Only those who were named; the count of the day stays as it is."""
    ids = join_many(store, 3)
    one = EndLimit(1, 0)
    put_out(store, ids[:1], limit=one)
    wait_for(store, ids[1:])
    done = store.apply(DismissEnds(ENTRA, (ids[1],)), actor=ACTOR)
    again = store.apply(DismissEnds(ENTRA, (ids[1],)), actor=ACTOR)
    wrong = store.apply(DismissEnds(OKTA, (ids[2],)), actor=ACTOR)

    assert (done.changed, done.detail["dismissed"], again.changed, wrong.changed) == (True, 1, False, False)
    assert (waiting(store), out(store, ids)) == ({ids[2]}, {ids[0]})
    assert passed(put_out(store, ids[1:2], limit=one)) == 0
