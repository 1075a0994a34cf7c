"""Names, rows and refusals that the tests of the SCIM endpoint ask for."""

from __future__ import annotations

import uuid

from storage.database.records import User
from tests.support.scim_client import Answer
from tests.support.server import QuaymasterServer


def fresh(prefix: str = "person") -> str:
    """Make a user name that nobody has."""
    return f"{prefix}-{uuid.uuid4().hex[:10]}@contoso.example"


def row(server: QuaymasterServer, user_id: str) -> User:
    """Give a user's row."""
    user = server.store.users.by_id(user_id)
    assert user is not None
    return user


def refused(answer: Answer, status: int, scim_type: str | None = None) -> None:
    """Check that an answer is this SCIM error (RFC 7644 section 3.12)."""
    assert (status, scim_type) == (answer.status, answer.body.get("scimType")), answer.body
    assert answer.body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert answer.body["status"] == str(status)
    assert answer.headers["content-type"].startswith("application/scim+json")
