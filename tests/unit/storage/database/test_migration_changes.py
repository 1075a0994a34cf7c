"""A move from a directory to an identity provider: what changes, what stays, and what is refused."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from auth_backends.api import Factor, FrontEnd, Principal, Reason
from auth_backends.policy import Facts, still_valid
from auth_backends.ssh_keys import generate_key_pair
from storage.database.changes import (
    AddMember,
    CreateUser,
    DeleteProvider,
    DeleteUser,
    LinkIdentity,
    MapRole,
    PutProvider,
    SetStatus,
    UpdateUser,
    UserFields,
)
from storage.database.migration_changes import MarkPilot, UnmarkPilot
from storage.database.records import Method, Owner, Role, Status, User
from storage.database.store import Conflict, InvalidChange, NotFoundInStore, Store, Taken
from tests.support.migration_rows import (
    CORP,
    ID,
    contest,
    directory_group,
    directory_user,
    move,
    moving,
    word_of_directory,
)
from tests.support.scim_rows import CLIENT, ENTRA, creation, join, make_scim_group, person, said_of, say
from tests.support.store_rows import ACTOR, make_api_key, make_group, make_ssh_key, make_user, user_again


def owners(store: Store, user: User) -> dict[str, set[Owner]]:
    """Give who holds the user in which group, by the group's name."""
    found: dict[str, set[Owner]] = {}
    for group in store.groups.list():
        for member, owner in store.groups.members(group.id):
            if member.id == user.id:
                found.setdefault(group.name, set()).add(owner)
    return found


def links(store: Store, user: User) -> set[tuple[str, str]]:
    return {(link.provider, link.external_id) for link in store.users.identities_of(user.id)}


# What a move does ---------------------------------------------------------------------------------


def test_a_move_is_one_transaction_with_everything_that_belongs_to_it(store: Store) -> None:
    """Method, provider, owner, link, epoch, revocation, audit event and journal; id, name, home and keys stay."""
    user = directory_user(store, groups=frozenset({directory_group(store)}))
    make_ssh_key(store, user)
    make_api_key(store, user)
    before, seen = user_again(store, user), store.revocations.latest()
    applied = move(store, user, batch="b1")

    after, event = user_again(store, user), store.audit.tail(limit=1)[0]
    (row,) = store.migrations.journal()
    assert (after.method, after.provider, after.managed_by) == (Method.OIDC, ENTRA, Owner.SCIM)
    assert (after.name, after.home, after.status, after.epoch) == ("ann", user.home, Status.ACTIVE, before.epoch + 1)
    assert links(store, user) == {(CORP, "e-ann"), (ENTRA, ID)}
    assert len(store.credentials.ssh_keys_of(user.id)) == len(store.credentials.api_keys_of(user.id)) == 1
    assert [one.user_id for one in store.revocations.since(seen)] == [user.id]
    assert (event.kind, event.actor, event.subject, event.outcome) == ("user.migrated", ACTOR, "ann", "applied")
    assert (row.id, row.user_id, row.user_name, row.actor) == (applied.detail["migration"], user.id, "ann", ACTOR)
    assert (row.from_provider, row.to_provider, row.external_id, row.batch) == (CORP, ENTRA, ID, "b1")
    assert (row.undone_at, row.undo_until) == (None, row.at + 30 * 86_400)


def test_what_the_directory_held_becomes_the_sites_own(store: Store) -> None:
    """Groups and aliases stay, with an owner who can end them; no membership is there twice."""
    crew, deck = directory_group(store), directory_group(store, "deck")
    user = directory_user(store, groups=frozenset({crew, deck}), aliases=frozenset({"corp\\ann", "ann@lab.test"}))
    store.apply(AddMember(user.id, deck), actor=ACTOR)
    move(store, user)

    assert owners(store, user) == {"crew": {Owner.MANUAL}, "deck": {Owner.MANUAL}}
    assert store.users.aliases_of(user.id) == ["ann@lab.test", "corp\\ann"]


def test_groups_of_the_directory_can_be_left_behind(store: Store) -> None:
    """What an admin gave stays in either case."""
    crew, own = directory_group(store), make_group(store, "own")
    user = directory_user(store, groups=frozenset({crew}))
    store.apply(AddMember(user.id, own.id), actor=ACTOR)
    applied = move(store, user, keep_groups=False)

    assert owners(store, user) == {"own": {Owner.MANUAL}}
    assert list(applied.detail["groups_left"]) == [crew]  # type: ignore[call-overload]  # a tuple of ids


def test_an_ldap_user_of_the_sites_own_moves_too(store: Store) -> None:
    """Nobody has synchronised the user; there may be no link to the directory, and no provider."""
    user = make_user(store, "ann", Method.LDAP)
    move(store, user, method=Method.SAML)

    after = user_again(store, user)
    assert (after.method, after.provider, after.managed_by) == (Method.SAML, ENTRA, Owner.SCIM)
    assert store.migrations.journal()[0].from_provider == ""


def test_sessions_by_password_end_and_those_by_key_go_on(store: Store) -> None:
    """By the decision table, which every worker asks when the revocation reaches it."""
    user = directory_user(store)
    blob = generate_key_pair("ann@test").public.blob
    key, apikey = make_ssh_key(store, user, blob), make_api_key(store, user)
    opened = {
        Factor.PASSWORD: Principal(user, Factor.PASSWORD, None, front_end=FrontEnd.WEBDAV),
        Factor.PUBLIC_KEY: Principal(user, Factor.PUBLIC_KEY, key.id, front_end=FrontEnd.SFTP),
        Factor.API_KEY: Principal(user, Factor.API_KEY, apikey.id, front_end=FrontEnd.FTPS),
    }
    move(store, user)
    after, facts = user_again(store, user), Facts(1_900_000_000.0, ip_address("10.0.0.1"))

    rows = {Factor.PUBLIC_KEY: key, Factor.API_KEY: apikey}
    said = {factor: still_valid(after, principal, rows.get(factor), facts) for factor, principal in opened.items()}
    assert said == {Factor.PASSWORD: Reason.SSO_PASSWORD_REFUSED, Factor.PUBLIC_KEY: None, Factor.API_KEY: None}


# The client ---------------------------------------------------------------------------------------


def test_the_client_finds_the_user_by_its_own_name_for_the_person(store: Store) -> None:
    """The login name stays, the client's is an alias; the conflict is gone, and the client's changes arrive."""
    user = directory_user(store)
    document = contest(store, user, emails=[{"value": "Ann@Lab.Test"}])
    move(store, user, document)
    found = store.scim_people.by_user_name(ENTRA, "ann@lab.test")
    by_email = store.scim_people.by_email(ENTRA, "ann@lab.test")
    say(store, user, display_name="Ann of Lab")
    say(store, user, user_name="ann.new@lab.test")

    after = user_again(store, user)
    assert found is not None
    assert (found.user_id, found.document, [one.user_id for one in by_email]) == (user.id, document, [user.id])
    assert (after.name, after.display_name) == ("ann", "Ann of Lab")
    assert store.users.aliases_of(user.id) == ["ann.new@lab.test"]
    assert store.scim_waiting.conflicts(ENTRA) == []


def test_a_name_that_the_directory_gave_already_is_as_good(store: Store) -> None:
    """The alias of the directory's is the site's own by then; nothing clashes."""
    user = directory_user(store, aliases=frozenset({"ann@lab.test"}))
    move(store, user, contest(store, user))

    assert store.users.aliases_of(user.id) == ["ann@lab.test"]
    assert store.scim_people.by_user_name(ENTRA, "ann@lab.test") is not None


def test_a_client_without_external_ids_is_served_too(store: Store) -> None:
    """Its link is our own id, as with any user that it makes."""
    user = directory_user(store)
    document = contest(store, user, "ann", "")
    move(store, user, document, external_id=user.id)

    assert (ENTRA, user.id) in links(store, user)
    assert store.scim_waiting.conflicts(ENTRA) == []
    assert said_of(store, user).document == document


def test_without_a_document_the_clients_next_create_takes_the_user_over(store: Store) -> None:
    """By the immutable id: the same user, no second one, and no conflict."""
    user = directory_user(store)
    move(store, user)
    made = store.apply(creation(person("ann"), method=Method.OIDC), actor=CLIENT)

    found = store.scim_people.by_external_id(ENTRA, ID)
    assert made.subject_id == user.id
    assert found is not None
    assert (found.user_id, store.users.count()) == (user.id, 1)


def test_a_move_is_no_way_for_a_client_to_another_user(store: Store) -> None:
    """Another person of the client's neither finds nor takes over the moved user."""
    user = directory_user(store)
    move(store, user)
    with pytest.raises(Taken):
        join(store, "ann", "oid-other")

    assert store.scim_people.by_id(ENTRA, user.id) is None


def test_a_user_who_was_made_a_second_time_gives_the_name_to_the_first(store: Store) -> None:
    """The person is one by the immutable id; without that, nobody ever gets another user's name."""
    user = directory_user(store)
    second = join(store, "ann@lab.test", ID)
    with pytest.raises(Taken) as refused:
        move(store, user)
    store.apply(DeleteUser(second.id), actor=ACTOR)
    document = person("ann@lab.test", ID)
    move(store, user, document)

    assert refused.value.holder == second.id
    assert store.users.aliases_of(user.id) == ["ann@lab.test"]
    assert not store.scim_people.is_tombstoned(ENTRA, ID)
    other = directory_user(store, "bob")
    with pytest.raises(Taken, match="was, another user's"):
        move(store, other, person("ann", "oid-bob"), external_id="oid-bob")
    with pytest.raises(Taken, match="calls another user"):
        move(store, other, person("ann@lab.test", "oid-bob"), external_id="oid-bob")


# Roles --------------------------------------------------------------------------------------------


def test_a_role_of_the_directorys_groups_ends(store: Store) -> None:
    """Nobody would ever take it away again; the client's groups give roles of their own."""
    user = directory_user(store, role=Role.ADMIN)
    applied = move(store, user, person("ann"))
    between = user_again(store, user).role
    store.apply(MapRole(ENTRA, "g-readers", Role.READ_ONLY_ADMIN, "readers"), actor=ACTOR)
    make_scim_group(store, "readers", user.id, external_id="g-readers")

    assert (user.role, applied.detail["role"], between) == (Role.ADMIN, Role.USER, Role.USER)
    assert user_again(store, user).role is Role.READ_ONLY_ADMIN


@pytest.mark.parametrize(
    ("given", "said"), [(None, Role.ADMIN), (Role.ADMIN, Role.USER), (Role.ADMIN, Role.GROUP_ADMIN)]
)
def test_a_role_that_an_admin_said_stays_also_against_the_client(store: Store, given: Role | None, said: Role) -> None:
    """Whatever the directory gave before, and whatever the client's groups give later."""
    user = directory_user(store, role=given)
    store.apply(UpdateUser(user.id, UserFields(role=said)), actor=ACTOR)
    applied = move(store, user, person("ann"))
    store.apply(MapRole(ENTRA, "g-readers", Role.READ_ONLY_ADMIN, "readers"), actor=ACTOR)
    make_scim_group(store, "readers", user.id, external_id="g-readers")

    assert "role" not in applied.detail
    assert user_again(store, user).role is said


# Refused ------------------------------------------------------------------------------------------


def _local(store: Store) -> User:
    return make_user(store)


def _last_resort(store: Store) -> User:
    return make_user(store, "ann", role=Role.ADMIN, break_glass=True)


def _moved(store: Store) -> User:
    user = directory_user(store)
    move(store, user)
    return user


def _of_portal(store: Store) -> User:
    return make_user(store, "ann", Method.LDAP, provider=CORP, managed_by=Owner.PORTAL)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (_local, "has the method local; only ldap users move"),
        (_last_resort, "admin of last resort"),
        (_moved, "signs in at entra already"),
        (_of_portal, "managed by portal"),
    ],
)
def test_who_is_no_ldap_user_never_moves(store: Store, made: Any, why: str) -> None:
    """Nor is such a user a pilot; nothing is changed and nothing is written down."""
    user = made(store)
    before, journal = user_again(store, user), store.migrations.journal()
    for change in (moving(user, external_id="oid-x"), MarkPilot(user.id, ENTRA)):
        with pytest.raises(Conflict, match=why):
            store.apply(change, actor=ACTOR)

    assert user_again(store, user) == before
    assert store.migrations.journal() == journal


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": Method.LDAP},
        {"external_id": ""},
        {"document": person("ann"), "facts": None},
        {"document": person("ann", "oid-other")},
    ],
)
def test_a_move_that_makes_no_sense_is_refused(store: Store, wrong: dict[str, Any]) -> None:
    """A method of no identity provider, no id, half a document, and another person's document."""
    user = directory_user(store)
    document = wrong.get("document")
    with pytest.raises(InvalidChange):
        move(store, user, document, **{name: value for name, value in wrong.items() if name != "document"})

    assert user_again(store, user) == user


def test_nobody_moves_who_is_not_there(store: Store) -> None:
    """Such as a user whom another admin has deleted since the preview."""
    user = directory_user(store)
    store.apply(DeleteUser(user.id), actor=ACTOR)
    with pytest.raises(NotFoundInStore):
        move(store, user)


def test_nobody_is_put_out_by_a_move(store: Store) -> None:
    """The provider says inactive: refused for an active user; one who is out already moves and stays out."""
    user, gone = directory_user(store), directory_user(store, "bob", active=False)
    with pytest.raises(Conflict, match="is not active"):
        move(store, user, person("ann", active=False))
    move(store, gone, person("bob", active=False), external_id="oid-bob")
    link = store.users.identity(gone.id, ENTRA)

    assert user_again(store, user) == user
    assert user_again(store, gone).status is Status.DEPROVISIONED
    assert link is not None
    assert not link.active


@pytest.mark.parametrize("status", [Status.DISABLED, Status.DEPROVISIONED])
def test_nobody_is_let_in_by_a_move(store: Store, status: Status) -> None:
    """Whom an admin or the directory has put out stays out until somebody says otherwise."""
    user = directory_user(store)
    store.apply(SetStatus(user.id, status), actor=ACTOR)
    move(store, user, person("ann"))

    assert user_again(store, user).status is status


# The directory afterwards -------------------------------------------------------------------------


def test_the_directory_cannot_change_whom_it_has_lost(store: Store) -> None:
    """Nor make the person a second time under another name: its own link is what tells."""
    user = directory_user(store)
    move(store, user)
    with pytest.raises(Conflict, match="managed by scim"):
        store.apply(word_of_directory("ann.new", external_id="e-ann"), actor="sync")

    assert store.users.count() == 1
    assert user_again(store, user).name == "ann"


def test_a_directory_can_be_removed_when_its_last_user_has_moved(store: Store) -> None:
    """Its links go with it; whoever is linked there for another reason still keeps it."""
    store.apply(PutProvider(CORP, "ldap", {}, {}), actor=ACTOR)
    user, other = directory_user(store), make_user(store, "bob")
    store.apply(LinkIdentity(other.id, CORP, "e-bob"), actor=ACTOR)
    with pytest.raises(Conflict, match="2 users depend"):
        store.apply(DeleteProvider(CORP), actor=ACTOR)
    move(store, user)
    with pytest.raises(Conflict, match="1 user depends on the provider 'corp': bob"):
        store.apply(DeleteProvider(CORP), actor=ACTOR)
    store.apply(DeleteUser(other.id), actor=ACTOR)
    store.apply(DeleteProvider(CORP), actor=ACTOR)

    assert links(store, user) == {(ENTRA, ID)}


# Pilots -------------------------------------------------------------------------------------------


def test_a_pilot_is_a_mark_and_no_more(store: Store) -> None:
    """Nothing of the user changes, no session hears of it; marked again for another provider, that one counts."""
    user = directory_user(store)
    first = store.apply(MarkPilot(user.id, "okta"), actor=ACTOR)
    marked = store.apply(MarkPilot(user.id, ENTRA), actor=ACTOR)
    again = store.apply(MarkPilot(user.id, ENTRA), actor=ACTOR)
    (pilot,) = store.migrations.pilots()

    assert (first.changed, marked.changed, again.changed, marked.users) == (True, True, False, ())
    assert (pilot.user_id, pilot.user_name, pilot.provider, pilot.marked_by) == (user.id, "ann", ENTRA, ACTOR)
    assert user_again(store, user) == user
    assert store.migrations.pilots("okta") == []
    assert store.apply(UnmarkPilot(user.id), actor=ACTOR).changed
    assert not store.apply(UnmarkPilot(user.id), actor=ACTOR).changed
    assert store.migrations.pilots() == []


def test_the_mark_ends_with_the_move_and_with_the_user(store: Store) -> None:
    """Neither has anything left to try."""
    user, other = directory_user(store), directory_user(store, "bob")
    for one in (user, other):
        store.apply(MarkPilot(one.id, ENTRA), actor=ACTOR)
    move(store, user)
    store.apply(DeleteUser(other.id), actor=ACTOR)

    assert store.migrations.pilots() == []


def test_a_link_that_was_staged_is_the_one_that_counts(store: Store) -> None:
    """A person has one immutable id at a provider: an older link of the user there goes."""
    user = directory_user(store)
    for external_id in ("oid-old", ID):
        store.apply(LinkIdentity(user.id, ENTRA, external_id), actor=ACTOR)
    move(store, user)

    assert links(store, user) == {(CORP, "e-ann"), (ENTRA, ID)}


def test_a_new_user_may_not_take_what_a_move_gave(store: Store) -> None:
    """The client's name for the person is the moved user's from then on."""
    user = directory_user(store)
    move(store, user, contest(store, user))
    with pytest.raises(Conflict):
        store.apply(CreateUser("ann@lab.test", Method.LOCAL), actor=ACTOR)


def test_who_moved_without_a_document_keeps_the_login_name(store: Store) -> None:
    """The client's next create finds the user by the immutable id; its own name for the user becomes an alias."""
    user = directory_user(store)
    move(store, user)
    made = store.apply(creation(person("ann@lab.test", ID), method=Method.OIDC), actor=CLIENT)

    assert made.subject_id == user.id
    assert user_again(store, user).name == "ann"
    assert "ann@lab.test" in store.users.aliases_of(user.id)
