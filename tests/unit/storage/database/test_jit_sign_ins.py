"""Just-in-time provisioning: what a sign-in may change, and what it may not."""

from __future__ import annotations

from dataclasses import replace
from typing import TypedDict, Unpack

import pytest

from storage.database.changes import AddMember, CreateGroup, LinkIdentity, SetMethod, SetStatus, SignInJit
from storage.database.records import Method, Owner, Role, Status, User
from storage.database.store import Conflict, Store
from tests.support.scim_rows import ENTRA, join, leave, make_scim_group
from tests.support.store_rows import ACTOR, make_group, make_user, user_again

GROUPS = frozenset({"g-1"})


class Said(TypedDict, total=False):
    """What a provider may say of a person, or an admin of newcomers."""

    name: str
    display_name: str
    email: str
    groups: frozenset[str] | None
    make: bool
    home_by_id: bool
    protocols: frozenset[str]
    default_group: str | None


def sign_in(store: Store, external_id: str = "oid-ann", **said: Unpack[Said]) -> User:
    """Sign in somebody who is made if there is none."""
    plain = SignInJit(ENTRA, Method.SAML, external_id, "ann@example.org", "Ann", "ann@example.org", make=True)
    change = replace(plain, **said)
    return user_again(store, store.apply(change, actor="sso:entra").subject_id)


def names_of(store: Store, user: User) -> set[str]:
    """The names of a user's groups."""
    return {group.name for group in store.users.groups_of(user.id)}


def test_a_newcomer_becomes_a_user_without_privileges(store: Store) -> None:
    """Linked by the immutable id, with the default group and the ways in of the provider."""
    group = make_group(store, "everybody")
    ann = sign_in(store, default_group=group.id, protocols=frozenset({"sftp"}))

    assert (ann.name, ann.method, ann.provider, ann.role) == ("ann@example.org", Method.SAML, ENTRA, Role.USER)
    assert (ann.managed_by, ann.status, ann.protocols) == (Owner.JIT, Status.ACTIVE, frozenset({"sftp"}))
    assert (ann.display_name, ann.home) == ("Ann", "ann@example.org")
    assert names_of(store, ann) == {"everybody"}
    found = store.users.by_identity(ENTRA, "oid-ann")
    assert found is not None
    assert found.id == ann.id


def test_a_home_may_be_called_by_the_id(store: Store) -> None:
    """As the provider's layout says."""
    ann = sign_in(store, home_by_id=True)

    assert ann.home == ann.id


def test_who_is_not_to_be_made_is_not(store: Store) -> None:
    """While a SCIM client brings the users, for example."""
    with pytest.raises(Conflict, match="Nobody is linked"):
        sign_in(store, make=False)

    assert store.users.by_name("ann@example.org") is None


def test_no_name_is_taken_over(store: Store) -> None:
    """Another's login name or address links nobody (the nOAuth attack)."""
    bob = make_user(store, "bob@example.org", email="ann@example.org")
    with pytest.raises(Conflict):
        sign_in(store, name="bob@example.org")

    assert user_again(store, bob) == bob
    assert store.users.by_identity(ENTRA, "oid-ann") is None


def test_nobody_whom_the_client_deleted_comes_back(store: Store) -> None:
    """The tombstone outlives even the user's row."""
    from storage.database.changes import DeleteUser

    ann = join(store, "ann")
    leave(store, ann)
    store.apply(DeleteUser(ann.id), actor=ACTOR)

    with pytest.raises(Conflict, match="was deleted"):
        sign_in(store, name="ann2")


def test_a_later_sign_in_follows_the_name_shown_and_no_more(store: Store) -> None:
    """The login name, home and rights stay; no session is cut for it."""
    ann = sign_in(store)
    again = sign_in(store, name="other@example.org", display_name="Ann B", email="", protocols=frozenset({"ftps"}))

    assert (again.id, again.name, again.email) == (ann.id, ann.name, "ann@example.org")
    assert (again.display_name, again.protocols, again.epoch) == ("Ann B", frozenset(), ann.epoch)


def test_a_sign_in_that_changes_nothing_is_no_change(store: Store) -> None:
    """No epoch, so that no session is looked at."""
    ann = sign_in(store)

    assert sign_in(store).epoch == ann.epoch


def test_what_another_source_says_stays(store: Store) -> None:
    """The display name of a SCIM client's user is the client's."""
    ann = join(store, "ann", displayName="From SCIM")
    again = sign_in(store, display_name="From the token")

    assert again.id == ann.id
    assert again.display_name == "From SCIM"


def test_a_sign_in_enables_nobody(store: Store) -> None:
    """An admin's word counts."""
    ann = sign_in(store)
    store.apply(SetStatus(ann.id, Status.DISABLED), actor=ACTOR)

    assert sign_in(store).status is Status.DISABLED


def test_who_signs_in_elsewhere_by_now_is_left_alone(store: Store) -> None:
    """A former provider changes nothing."""
    ann = sign_in(store)
    store.apply(SetMethod(ann.id, Method.NONE), actor=ACTOR)

    with pytest.raises(Conflict, match="does not sign in there"):
        sign_in(store, display_name="Mallory")


# Groups -------------------------------------------------------------------------------------------


def test_known_groups_of_the_token_are_joined_and_left(store: Store) -> None:
    """By the provider's id; a name in the token is nothing, nor is a group that SCIM has not told."""
    make_scim_group(store, "Crew", external_id="g-1")
    make_group(store, "admins")
    ann = sign_in(store, groups=frozenset({"g-1", "admins", "g-unknown"}))
    joined = names_of(store, ann)
    left = sign_in(store, groups=frozenset())

    assert joined == {"crew"}
    assert names_of(store, ann) == set()
    assert left.epoch == ann.epoch + 1


def test_unknown_is_not_none(store: Store) -> None:
    """An overage, or no claim at all, changes no membership."""
    make_scim_group(store, "Crew", external_id="g-1")
    ann = sign_in(store, groups=GROUPS)

    assert names_of(store, sign_in(store, groups=None)) == {"crew"}
    assert user_again(store, ann).epoch == ann.epoch


def test_what_an_admin_or_a_client_gave_stays(store: Store) -> None:
    """A sign-in takes away only what a sign-in gave."""
    ann = join(store, "ann")
    make_scim_group(store, "Crew", ann.id, external_id="g-1")
    by_hand = store.apply(CreateGroup("by hand"), actor=ACTOR).subject_id
    store.apply(AddMember(ann.id, by_hand), actor=ACTOR)

    sign_in(store, groups=GROUPS)
    sign_in(store, groups=frozenset())

    assert names_of(store, ann) == {"crew", "by hand"}


@pytest.mark.parametrize("groups", [frozenset({"h-1"}), frozenset()])
def test_what_a_former_provider_gave_is_the_sites_own(store: Store, groups: frozenset[str]) -> None:
    """The sign-ins of a person's next provider take away what they gave themselves, and nothing of another's."""
    make_scim_group(store, "Crew", external_id="g-1")
    make_scim_group(store, "Hands", external_id="h-1", provider="okta")
    ann = sign_in(store, groups=GROUPS)
    store.apply(SetMethod(ann.id, Method.OIDC, "okta"), actor=ACTOR)
    store.apply(LinkIdentity(ann.id, "okta", "okta-ann"), actor=ACTOR)
    for told in (frozenset({"h-1"}), groups):
        store.apply(SignInJit("okta", Method.OIDC, "okta-ann", "ann", groups=told), actor="sso:okta")

    assert names_of(store, ann) == {"crew"} | ({"hands"} if groups else set())


def test_another_providers_group_of_the_same_id_is_another(store: Store) -> None:
    """Ids are the provider's own."""
    make_scim_group(store, "Crew", external_id="g-1", provider="okta")

    assert names_of(store, sign_in(store, groups=GROUPS)) == set()
