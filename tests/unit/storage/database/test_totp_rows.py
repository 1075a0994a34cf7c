"""Secrets of one-time codes: row and flag go together, and a time step is taken once on all workers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from storage.database.changes import DeleteUser
from storage.database.records import Method
from storage.database.store import InvalidChange, NotFoundInStore, Store
from storage.database.totp import TotpSecret
from storage.database.totp_changes import EnrolTotp, RemoveTotp
from tests.support.store_rows import ACTOR, make_user, user_again

SEALED = "v1:abc:sealed"


def kept(store: Store, user_id: str) -> TotpSecret:
    """The secret of somebody who is enrolled."""
    found = store.totp.of(user_id)
    assert found is not None
    return found


def test_enrolment_keeps_the_secret_and_sets_the_flag(store: Store) -> None:
    """One change: row, flag, epoch, and an audit event that does not have the secret."""
    ann = make_user(store, "ann")

    applied = store.apply(EnrolTotp(ann.id, SEALED, 77), actor=ACTOR)

    after, secret = user_again(store, ann), kept(store, ann.id)
    assert (True, ann.epoch + 1) == (after.totp_enrolled, after.epoch)
    assert (secret.sealed, secret.last_step) == (SEALED, 77)
    assert (applied.users, applied.changed) == ((ann.id,), True)
    event = store.audit.tail(kind="totp.enrolled")[-1]
    assert (event.subject, event.outcome, (event.detail or {})["replaced"]) == ("ann", "applied", False)
    assert SEALED not in repr(event)
    assert SEALED not in repr(secret)
    assert store.totp.every_sealed() == [SEALED]


def test_a_second_enrolment_replaces_the_secret(store: Store) -> None:
    """The old one is gone, with the steps that were used of it."""
    ann = make_user(store, "ann")
    store.apply(EnrolTotp(ann.id, "v1:abc:old", 90), actor=ACTOR)
    old = kept(store, ann.id)

    store.apply(EnrolTotp(ann.id, SEALED, 77), actor=ACTOR)

    assert (kept(store, ann.id).sealed, kept(store, ann.id).last_step) == (SEALED, 77)
    assert (store.audit.tail(kind="totp.enrolled")[-1].detail or {})["replaced"] is True
    assert not store.totp.take(old, 91)
    assert kept(store, ann.id).last_step == 77


def test_removal_forgets_the_secret_and_the_flag(store: Store) -> None:
    """And does nothing the second time."""
    ann = make_user(store, "ann")
    store.apply(EnrolTotp(ann.id, SEALED, 77), actor=ACTOR)

    first = store.apply(RemoveTotp(ann.id), actor=ACTOR)
    again = store.apply(RemoveTotp(ann.id), actor=ACTOR)

    assert (first.changed, again.changed) == (True, False)
    after = user_again(store, ann)
    assert (False, ann.epoch + 2) == (after.totp_enrolled, after.epoch)
    assert store.totp.of(ann.id) is None


def test_a_deleted_user_leaves_no_secret(store: Store) -> None:
    """The row goes with the user's."""
    ann = make_user(store, "ann")
    store.apply(EnrolTotp(ann.id, SEALED, 77), actor=ACTOR)

    store.apply(DeleteUser(ann.id), actor=ACTOR)

    assert store.totp.every_sealed() == []


@pytest.mark.parametrize("method", [Method.LOCAL_KEY, Method.SAML, Method.OIDC, Method.NONE])
def test_who_is_never_asked_for_a_code_cannot_be_enrolled(store: Store, method: Method) -> None:
    """Codes follow a password at the portal, which only local and directory users have there."""
    ann = make_user(store, "ann", method=method, provider="entra" if method.is_sso else None)

    with pytest.raises(InvalidChange, match="never asked"):
        store.apply(EnrolTotp(ann.id, SEALED, 77), actor=ACTOR)

    assert user_again(store, ann) == ann


@pytest.mark.parametrize("change", [EnrolTotp("x", "", 77), EnrolTotp("x", SEALED, -1)])
def test_half_an_enrolment_is_refused(store: Store, change: EnrolTotp) -> None:
    """Without a secret or a used step nothing is kept."""
    ann = make_user(store, "ann")

    with pytest.raises(InvalidChange):
        store.apply(replace(change, user_id=ann.id), actor=ACTOR)

    assert not user_again(store, ann).totp_enrolled


@pytest.mark.parametrize("change", [EnrolTotp("nobody", SEALED, 77), RemoveTotp("nobody")])
def test_nobody_is_enrolled_or_removed(store: Store, change: EnrolTotp | RemoveTotp) -> None:
    """An id of no user is told so."""
    with pytest.raises(NotFoundInStore):
        store.apply(change, actor=ACTOR)


@pytest.mark.parametrize(("step", "taken"), [(76, False), (77, False), (78, True), (80, True)])
def test_only_a_later_step_can_be_taken(store: Store, step: int, *, taken: bool) -> None:
    """RFC 6238 section 5.2: no code twice, and none before one that was accepted."""
    ann = make_user(store, "ann")
    store.apply(EnrolTotp(ann.id, SEALED, 77), actor=ACTOR)

    assert taken == store.totp.take(kept(store, ann.id), step)
    assert kept(store, ann.id).last_step == max(77, step)


def test_of_two_at_once_one_takes_the_step(store: Store) -> None:
    """However their statements fall; both had read the same row."""
    ann = make_user(store, "ann")
    store.apply(EnrolTotp(ann.id, SEALED, 0), actor=ACTOR)
    secret, start = kept(store, ann.id), Barrier(2, timeout=20)

    def take(step: int) -> bool:
        start.wait()
        return store.totp.take(secret, step)

    with ThreadPoolExecutor(2) as pool:
        for step in range(1, 21):
            assert sorted(pool.map(take, [step, step])) == [False, True]
