"""The link of a SCIM client's user to the immutable id that the client gives the person."""

from __future__ import annotations

from sqlalchemy import Connection, and_, bindparam, delete, insert, select, update

from storage.database.appliers import checks
from storage.database.errors import Taken
from storage.database.records import Identity
from storage.database.rows import identity_of
from storage.database.scim_changes import PersonFacts
from storage.database.scim_tables import tombstones
from storage.database.tables import identities

_BY_EXTERNAL_ID = select(identities).where(
    identities.c.provider == bindparam("provider"), identities.c.external_id == bindparam("external_id")
)
# The provider as an expression, so that the database goes by the user: see appliers/roles.py.
_MINE = and_(identities.c.user_id == bindparam("of_user"), identities.c.provider.concat("") == bindparam("at"))
_FORGET = delete(tombstones).where(
    tombstones.c.provider == bindparam("provider"), tombstones.c.external_id == bindparam("external_id")
)
_BY_USER = select(identities).where(_MINE).order_by(identities.c.linked_at.desc(), identities.c.external_id)


def link_at(tx: Connection, provider: str, external_id: str) -> Identity | None:
    """Give the link of whoever has this immutable id at the provider, or None."""
    row = tx.execute(_BY_EXTERNAL_ID, {"provider": provider, "external_id": external_id}).one_or_none()
    return None if row is None else identity_of(row)


def make_link(tx: Connection, provider: str, user_id: str, facts: PersonFacts, now: float) -> str:
    """Link a user who has no link at the provider and give the immutable id. The id must be nobody's."""
    link = {
        "user_id": user_id,
        "provider": checks.text(provider, "A provider's name", required=True),
        "external_id": external_id_of(facts, user_id),
        "linked_at": now,
        "hint": "",
        "active": facts.active,
    }
    tx.execute(insert(identities), link)
    return str(link["external_id"])


def follow_link(tx: Connection, provider: str, user_id: str, facts: PersonFacts, now: float) -> dict[str, object]:
    """Follow the external id, which a client may correct, and what it says of the person's access. Raises Taken.

    An admin may have linked the user a second time, or taken the link away; neither may keep a leaver here.
    """
    links = [identity_of(row) for row in tx.execute(_BY_USER, {"at": provider, "of_user": user_id})]
    # What a client takes out of its words alone is still the person's immutable id: a link is only ever corrected.
    wanted = links[0].external_id if links and not facts.external_id else external_id_of(facts, user_id)
    if wanted in {link.external_id for link in links}:
        if all(link.active is facts.active for link in links):
            return {}
        say_active(tx, provider, user_id, active=facts.active)
        return {"said_active": facts.active}
    if holder := link_at(tx, provider, wanted):
        raise Taken("A user with this externalId exists already.", holder.user_id)
    forget_grave(tx, provider, facts)
    if not links:
        return {"external_id": make_link(tx, provider, user_id, facts, now)}
    say_active(tx, provider, user_id, active=facts.active)
    old = links[0]
    same = (identities.c.provider == provider, identities.c.external_id == old.external_id)
    tx.execute(update(identities).where(*same).values(external_id=wanted, linked_at=now))
    return {"external_id": wanted, "old_external_id": old.external_id}


def say_active(tx: Connection, provider: str, user_id: str, *, active: bool) -> None:
    """Keep what the client says of the person's access, with every link of the user at its provider."""
    tx.execute(update(identities).where(_MINE).values(active=active), {"at": provider, "of_user": user_id})


def external_id_of(facts: PersonFacts, user_id: str) -> str:
    """Give the immutable id: the client's own, or where it has none ours, which it keeps as the resource's id."""
    return checks.text(facts.external_id, "An externalId", limit=1024) or user_id


def forget_grave(tx: Connection, provider: str, facts: PersonFacts) -> None:
    """Let the person of this external id come in by signing in, too: the client speaks of them again."""
    if facts.external_id:
        tx.execute(_FORGET, {"provider": provider, "external_id": facts.external_id})
