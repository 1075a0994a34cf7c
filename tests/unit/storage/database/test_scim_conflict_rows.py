"""People of whom a SCIM client speaks and whose name or id is somebody else's."""

from __future__ import annotations

from storage.database.scim_waiting import ScimConflict
from storage.database.store import Store
from tests.support.scim_rows import ENTRA, OKTA, person


def conflict(external_id: str = "oid-bob", user_name: str = "bob", at: float = 1.0, **more: object) -> ScimConflict:
    document = person(user_name, external_id)
    return ScimConflict(ENTRA, external_id, user_name, "holder", "taken", document, asked_at=at, **more)  # type: ignore[arg-type]


def test_a_conflict_is_kept_once(store: Store) -> None:
    """By the external id, or the userName of a person without one; seen again, the newest words count."""
    store.scim_waiting.contest(conflict())
    store.scim_waiting.contest(conflict(user_name="robert", at=5.0))
    store.scim_waiting.contest(conflict("", "zoe"))
    store.scim_waiting.contest(ScimConflict(OKTA, "oid-bob", "bob", "other", "taken"))

    first, second = store.scim_waiting.conflicts(ENTRA)
    assert (first.user_name, first.since, first.asked_at, first.document) == (
        "robert", 1.0, 5.0, person("robert", "oid-bob")
    )  # fmt: skip
    assert (second.user_name, second.external_id) == ("zoe", "")
    assert [one.provider for one in store.scim_waiting.conflicts()] == [ENTRA, ENTRA, OKTA]
    assert [one.user_name for one in store.scim_waiting.conflicts_with(ENTRA, "holder")] == ["robert", "zoe"]
    assert store.scim_waiting.conflicts_with(OKTA, "holder") == []


def test_a_settled_conflict_is_forgotten(store: Store) -> None:
    """By either key, of this provider alone; settling what is none is no error."""
    store.scim_waiting.contest(conflict())
    store.scim_waiting.contest(conflict("", "zoe"))
    store.scim_waiting.settle(OKTA, "oid-bob", "bob")
    store.scim_waiting.settle(ENTRA, "oid-zoe", "zoe")
    left = [one.user_name for one in store.scim_waiting.conflicts()]
    store.scim_waiting.settle(ENTRA, "oid-bob", "robert")

    assert (left, store.scim_waiting.conflicts()) == (["bob"], [])
