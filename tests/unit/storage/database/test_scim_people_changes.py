"""What a SCIM client may make and change of people, and whom it never touches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from storage.database.changes import (
    AddMember,
    DeleteUser,
    LinkIdentity,
    Provision,
    PutGrant,
    RenameUser,
    SetStatus,
    UnlinkIdentity,
)
from storage.database.engine import AdvisoryLock
from storage.database.records import Method, Owner, Role, Status
from storage.database.scim_changes import PersonFacts, ScimDeleteUser
from storage.database.store import Conflict, InvalidChange, InvalidName, Stale, Store, Taken
from storage.database.tables import aliases
from tests.support.scim_rows import (
    CLIENT,
    ENTRA,
    OKTA,
    creation,
    join,
    leave,
    make_scim_group,
    person,
    revision,
    said_of,
    say,
)
from tests.support.store_rows import ACTOR, make_admin, make_group, make_ssh_key, make_user, user_again


def kinds(store: Store, limit: int = 100) -> list[str]:
    return [event.kind for event in store.audit.tail(limit=limit)]


# Made ---------------------------------------------------------------------------------------------


def test_a_person_becomes_a_user_of_the_provider(store: Store) -> None:
    """Row, link and document in one change: one epoch, one revocation, one audit event."""
    document = person("Ann@Corp.example", "oid-1", displayName="Ann A.", emails=[{"value": "Ann@Corp.example"}])
    made = store.apply(creation(document, method=Method.OIDC), actor=CLIENT)

    user = user_again(store, made.subject_id)
    assert (user.name, user.home, user.method, user.provider) == (
        "ann@corp.example", "ann@corp.example", Method.OIDC, ENTRA
    )  # fmt: skip
    assert (user.managed_by, user.status, user.role, user.epoch) == (Owner.SCIM, Status.ACTIVE, Role.USER, 1)
    assert (user.display_name, user.email) == ("Ann A.", "Ann@Corp.example")
    assert store.users.by_identity(ENTRA, "oid-1") == user
    assert store.scim_people.by_id(ENTRA, user.id) == said_of(store, user)
    assert (said_of(store, user).document, said_of(store, user).version) == (document, 1)
    assert kinds(store) == ["user.created"]
    assert [row.user_id for row in store.revocations.since(0)] == [user.id]


def test_a_person_is_found_by_each_key_in_any_case(store: Store) -> None:
    """By id, userName, externalId and e-mail; by another provider's client never."""
    user = join(store, "Ann", "Oid-1", emails=[{"value": "Ann@Example.org"}, {"value": "ANN@example.org"}])
    people = store.scim_people

    assert [people.by_user_name(ENTRA, "ann"), people.by_external_id(ENTRA, "Oid-1")] == [said_of(store, user)] * 2
    assert people.by_email(ENTRA, "aNN@eXample.org") == [said_of(store, user)]
    assert people.by_external_id(ENTRA, "oid-1") is None
    assert (people.by_id(OKTA, user.id), people.by_user_name(OKTA, "ann")) == (None, None)
    assert (people.by_external_id(OKTA, "Oid-1"), people.by_email(OKTA, "ann@example.org")) == (None, [])
    assert (people.by_id(ENTRA, "\0"), people.by_user_name(ENTRA, "\ud800")) == (None, None)


def test_home_protocols_and_default_group_are_those_of_a_new_user(store: Store) -> None:
    """The group is the site's own membership, so that no client can end it."""
    group = make_group(store)
    change = creation(person(), home_by_id=True, protocols=frozenset({"sftp"}), default_group=group.id)
    made = store.apply(change, actor=CLIENT)

    user = user_again(store, made.subject_id)
    assert (user.home, user.protocols) == (user.id, {"sftp"})
    assert [(member.id, owner) for member, owner in store.groups.members(group.id)] == [(user.id, Owner.MANUAL)]
    assert made.detail["default_group"] == group.id


def test_a_person_may_come_inactive_and_without_an_external_id(store: Store) -> None:
    """The user is there and cannot come in; the immutable id is ours then, and no client finds it as its own."""
    user = join(store, "ann", "", active=False)

    link = store.users.identity(user.id, ENTRA)
    assert user.status is Status.DEPROVISIONED
    assert link is not None
    assert (link.external_id, link.active) == (user.id, False)
    assert store.scim_people.by_external_id(ENTRA, user.id) is None


@pytest.mark.parametrize("document", [person("ANN", "oid-2"), person("bea", "oid-ann"), person("ann", "")])
def test_nobody_comes_twice(store: Store, document: dict[str, Any]) -> None:
    """A second userName in whatever case, or a second externalId: refused with the holder, and nothing is changed."""
    user = join(store)
    with pytest.raises(Taken) as refused:
        store.apply(creation(document), actor=CLIENT)

    assert refused.value.holder == user.id
    assert (store.users.count(), user_again(store, user).epoch) == (1, 1)


def test_two_providers_people_stay_apart(store: Store) -> None:
    """The same externalId at two providers is two people; the same userName is refused."""
    ann = join(store, "ann", "1")
    other = join(store, "ann@okta", "1", provider=OKTA)
    with pytest.raises(Taken):
        join(store, "ann", "2", provider=OKTA)

    assert ann.id != other.id
    assert [person.user_id for person in store.scim_people.everybody(OKTA)] == [other.id]
    assert (store.scim_people.count(ENTRA), store.scim_people.count(OKTA)) == (1, 1)


def make_local(store: Store) -> str:
    return make_user(store, "bob").id


def make_renamed(store: Store) -> str:
    user = make_user(store, "bob")
    store.apply(RenameUser(user.id, "robert"), actor=ACTOR)
    return user.id


def make_deleted(store: Store) -> str:
    user = make_user(store, "bob")
    store.apply(DeleteUser(user.id), actor=ACTOR)
    return user.id


def make_ldap(store: Store) -> str:
    told = Provision("corp", Owner.LDAP, Method.LDAP, "e-bob", "bob")
    return store.apply(told, actor=ACTOR).subject_id


def make_aliased(store: Store) -> str:
    told = Provision("corp", Owner.LDAP, Method.LDAP, "e-bob", "robert", aliases=frozenset({"bob"}))
    return store.apply(told, actor=ACTOR).subject_id


def make_break_glass(store: Store) -> str:
    return make_admin(store, "bob").id


HOLDERS = [make_local, make_renamed, make_deleted, make_ldap, make_aliased, make_break_glass]


@pytest.mark.parametrize("make", HOLDERS)
def test_a_login_that_is_or_was_anothers_is_refused(store: Store, make: Any) -> None:
    """Local, renamed, deleted, directory's, alias, break-glass: neither a create nor a rename gets it (C10, C11)."""
    holder = make(store)
    ann = join(store)
    before = store.users.by_id(holder)
    with pytest.raises(Taken) as made:
        join(store, "BOB")
    with pytest.raises(Taken) as renamed:
        say(store, ann, user_name="bob")

    assert {made.value.holder, renamed.value.holder} == {holder}
    assert (store.users.by_id(holder), user_again(store, ann), said_of(store, ann).version) == (before, ann, 1)
    assert store.users.by_identity(ENTRA, "oid-BOB") is None


@pytest.mark.parametrize("name", ["", "a/b", ".hidden", "x" * 129, "a\0b", "a\ud800"])
def test_a_user_name_that_can_be_no_login_is_refused(store: Store, name: str) -> None:
    """As a value of the client's, for a create and a rename; nothing is left behind."""
    ann = join(store)
    with pytest.raises(InvalidName):
        store.apply(creation({"userName": name, "externalId": "oid-2", "active": True}), actor=CLIENT)
    with pytest.raises(InvalidName):
        store.apply(replace(revision(store, ann), facts=PersonFacts(name, "oid-ann")), actor=CLIENT)

    assert [user.name for user in store.users.list()] == ["ann"]


@pytest.mark.parametrize(
    "facts",
    [
        PersonFacts("bea", "x" * 1025),
        PersonFacts("bea", "oid\n2"),
        PersonFacts("bea", "oid", display_name="x" * 257),
        PersonFacts("bea", "oid", email="x" * 321),
    ],
)
def test_values_that_no_row_may_have_are_refused(store: Store, facts: PersonFacts) -> None:
    """Too long or with control characters; nothing of the change is made."""
    with pytest.raises(InvalidChange):
        store.apply(replace(creation(person("bea")), facts=facts), actor=CLIENT)

    assert (store.users.count(), store.scim_people.count(ENTRA)) == (0, 0)


# Changed ------------------------------------------------------------------------------------------


def test_a_rename_keeps_home_keys_grants_and_groups(store: Store) -> None:
    """The old name stays reserved for this user, who may take it back; live sessions hear of it."""
    user, group = join(store), make_group(store)
    make_ssh_key(store, user)
    store.apply(PutGrant("/x", frozenset({"read"}), user_id=user.id), actor=ACTOR)
    store.apply(AddMember(user.id, group.id), actor=ACTOR)
    crew = make_scim_group(store, "Crew", user.id)
    before, seen = user_again(store, user), store.revocations.latest()
    done = say(store, user, user_name="Anna")

    after = user_again(store, user)
    assert (after.name, after.home, after.epoch) == ("anna", "ann", before.epoch + 1)
    assert len(store.credentials.ssh_keys_of(user.id)) == 1
    assert len(store.folders.grants(user_id=user.id)) == 1
    assert {found.id for found in store.users.groups_of(user.id)} == {group.id, crew}
    assert (done.detail["old_name"], kinds(store, 1)) == ("ann", ["user.renamed"])
    assert [row.user_id for row in store.revocations.since(seen)] == [user.id]
    with pytest.raises(Conflict, match="reserved"):
        make_user(store, "ann")
    say(store, user, user_name="ann")
    assert user_again(store, user).name == "ann"


def test_the_case_of_a_user_name_is_the_clients_alone(store: Store) -> None:
    """The document follows, the login does not change, and no session is looked at."""
    user = join(store)
    done = say(store, user, user_name="ANN")

    assert (done.users, said_of(store, user).document["userName"]) == ((), "ANN")
    assert user_again(store, user).name == "ann"


def test_whom_the_site_renamed_keeps_the_sites_name(store: Store) -> None:
    """The client's next name becomes an alias, in place of its last; back at the site's name, it is followed again."""
    user = join(store)
    store.apply(RenameUser(user.id, "captain"), actor=ACTOR)
    say(store, user, user_name="anna")
    first = store.users.aliases_of(user.id)
    say(store, user, user_name="annie")
    second = store.users.aliases_of(user.id)
    before = user_again(store, user).epoch
    say(store, user, user_name="captain")
    third = store.users.aliases_of(user.id)
    say(store, user, user_name="ann")

    assert (first, second, third) == (["anna"], ["annie"], [])
    assert user_again(store, user).name == "ann"
    assert user_again(store, user).epoch == before + 2


def test_an_alias_that_is_somebodys_is_refused_with_the_holder(store: Store) -> None:
    """As a name would be; the client's word is not half made."""
    bob, user = make_user(store, "bob"), join(store)
    store.apply(RenameUser(user.id, "captain"), actor=ACTOR)
    with pytest.raises(Taken) as refused:
        say(store, user, user_name="bob")

    assert refused.value.holder == bob.id
    assert said_of(store, user).document["userName"] == "ann"
    assert store.users.aliases_of(user.id) == []


def test_an_alias_that_the_user_has_already_is_no_clash(store: Store) -> None:
    """The site gave the alias itself: it stays the site's, and the client's name is accepted."""
    user = join(store)
    store.apply(RenameUser(user.id, "captain"), actor=ACTOR)
    with store._database.write(lock=AdvisoryLock.CHANGES) as connection:
        connection.execute(aliases.insert(), {"alias": "anna", "user_id": user.id, "owner": "manual"})
    say(store, user, user_name="anna")
    say(store, user, user_name="annie")

    assert store.users.aliases_of(user.id) == ["anna", "annie"]
    assert user_again(store, user).name == "captain"


def test_an_unchanged_document_changes_nothing(store: Store) -> None:
    """No epoch, no version, no revocation; the trail says that nothing was changed (C14)."""
    user = join(store, displayName="Ann", emails=[{"value": "a@example.org"}])
    seen, before = store.revocations.latest(), said_of(store, user)
    again = say(store, user)

    assert (again.changed, again.users) == (False, ())
    assert (said_of(store, user), user_again(store, user)) == (before, user)
    assert store.revocations.since(seen) == []
    assert [event.outcome for event in store.audit.tail(limit=1)] == ["unchanged"]


def test_what_is_no_right_changes_the_version_alone(store: Store) -> None:
    """Display name, addresses and the rest of the document: no session is looked at."""
    user = join(store, emails=[{"value": "a@example.org"}])
    done = say(store, user, display_name="Ann", title="Captain", emails=[{"value": "b@example.org"}])

    after = user_again(store, user)
    assert (done.changed, done.users, said_of(store, user).version) == (True, (), 2)
    assert (after.epoch, after.display_name, after.email) == (1, "Ann", "b@example.org")
    assert (store.scim_people.by_email(ENTRA, "a@example.org"), said_of(store, user).document["title"]) == (
        [],
        "Captain",
    )
    say(store, user, emails="")
    assert store.scim_people.by_email(ENTRA, "b@example.org") == []


@pytest.mark.parametrize(("old", "new"), [(1, True), (0, False), (1, 1.0), ("1", 1), ([], {})])
def test_values_that_python_takes_for_the_same_are_told_apart(store: Store, old: object, new: object) -> None:
    """The client finds again what it said last, and keys in another order are no change."""
    user = join(store, custom={"a": old, "b": 2})
    again = say(store, user, custom={"b": 2, "a": old})
    say(store, user, custom={"a": new, "b": 2})

    kept = said_of(store, user)
    assert (again.changed, kept.version, repr(kept.document["custom"]["a"])) == (False, 2, repr(new))


def test_a_stale_version_is_refused_for_every_verb(store: Store) -> None:
    """Who speaks of an older state hears so, and changes nothing."""
    user = join(store)
    old = revision(store, user, active=False)
    say(store, user, display_name="Ann")
    with pytest.raises(Stale):
        store.apply(old, actor=CLIENT)
    with pytest.raises(Stale):
        store.apply(ScimDeleteUser(ENTRA, user.id, version=1), actor=CLIENT)

    assert user_again(store, user).status is Status.ACTIVE
    store.apply(ScimDeleteUser(ENTRA, user.id, version=2), actor=CLIENT)
    assert user_again(store, user).status is Status.DEPROVISIONED


def test_a_corrected_external_id_moves_the_link(store: Store) -> None:
    """Sessions hear of it, the trail has both, the old id leads to nobody; one that is another's is refused."""
    bea, user = join(store, "bea"), join(store)
    done = say(store, user, external_id="oid-new")
    with pytest.raises(Taken) as refused:
        say(store, user, external_id="oid-bea")

    found = store.users.by_identity(ENTRA, "oid-new")
    assert found is not None
    assert (found.id, done.users) == (user.id, (user.id,))
    assert (done.detail["external_id"], done.detail["old_external_id"]) == ("oid-new", "oid-ann")
    assert (store.users.by_identity(ENTRA, "oid-ann"), refused.value.holder) == (None, bea.id)
    say(store, user, external_id="")
    assert store.users.by_identity(ENTRA, "oid-new") == user_again(store, user)


def test_a_link_that_an_admin_took_away_keeps_no_leaver(store: Store) -> None:
    """The client's next word makes it anew: a person without a link could never be put out."""
    user = join(store)
    store.apply(UnlinkIdentity(user.id, ENTRA, "oid-ann"), actor=ACTOR)
    say(store, user, active=False)

    link = store.users.identity(user.id, ENTRA)
    assert link is not None
    assert (link.external_id, link.active) == ("oid-ann", False)
    assert user_again(store, user).status is Status.DEPROVISIONED


def test_a_second_link_that_an_admin_made_keeps_no_leaver(store: Store) -> None:
    """The client speaks for both, and may say either id."""
    user = join(store)
    store.apply(LinkIdentity(user.id, ENTRA, "oid-second"), actor=ACTOR)
    say(store, user, external_id="oid-second")
    say(store, user, active=False)

    assert user_again(store, user).status is Status.DEPROVISIONED
    with pytest.raises(Conflict, match="disabled or gone"):
        store.apply(SetStatus(user.id, Status.ACTIVE), actor=ACTOR)
    say(store, user, active=True)
    assert user_again(store, user).status is Status.ACTIVE
    assert {link.active for link in store.users.identities_of(user.id)} == {True}


def test_pages_are_in_the_order_of_coming(store: Store) -> None:
    """Newcomers come last, whatever their names; a deleted one is left out of every page and of the count."""
    ids = [join(store, name).id for name in ("carl", "ann", "bea", "dan")]
    leave(store, ids[1])
    pages = [person.user_id for start in range(4) for person in store.scim_people.page(ENTRA, start, 1)]

    assert pages == [ids[0], *ids[2:]] == [person.user_id for person in store.scim_people.everybody(ENTRA)]
    assert store.scim_people.count(ENTRA) == 3


def test_groups_of_many_are_read_together(store: Store) -> None:
    """Each with the client's own name of it; groups of others are not the client's to see."""
    ann, bea = join(store), join(store, "bea")
    crew = make_scim_group(store, "The Crew", ann.id, bea.id)
    deck = make_scim_group(store, "Deck", ann.id)
    store.apply(AddMember(bea.id, deck), actor=ACTOR)

    found = store.scim_people.groups_of(ENTRA, [ann.id, bea.id])
    assert found == {ann.id: [(crew, "The Crew"), (deck, "Deck")], bea.id: [(crew, "The Crew")]}
    assert store.scim_people.groups_of(OKTA, [ann.id]) == {}
