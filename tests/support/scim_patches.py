"""A user, and the operations of a PATCH as the tests of SCIM write them."""

from __future__ import annotations

from typing import Any

from server.http.scim.attributes import ENTERPRISE
from server.http.scim.bodies.documents import user_document

CUSTOM = "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User"
WORK = {"value": "w@b.test", "type": "work", "primary": True}
HOME = {"value": "h@b.test", "type": "home"}
PRESENT, _ = user_document(
    {
        "userName": "a@b.test",
        "externalId": "oid-1",
        "active": True,
        "displayName": "A",
        "title": "Mate",
        "name": {"givenName": "Ann", "familyName": "Bell"},
        "emails": [WORK, HOME],
        "addresses": [{"type": "work", "locality": "Hull", "country": "GB"}],
        ENTERPRISE: {"department": "Dock", "manager": {"value": "m-1"}},
        CUSTOM: {"Tag": "t", "list": ["a", "b"]},
    }
)


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    """A PATCH body of these operations."""
    return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": list(operations)}


def add(path: str, value: object) -> dict[str, Any]:
    return {"op": "Add", "path": path, "value": value}


def replace(path: str, value: object) -> dict[str, Any]:
    return {"op": "Replace", "path": path, "value": value}


def remove(path: str, **value: object) -> dict[str, Any]:
    return {"op": "Remove", "path": path, **value}


def pathless(**value: object) -> dict[str, Any]:
    return {"op": "replace", "value": value}
