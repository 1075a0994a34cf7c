"""A site whose users move from the directory ``corp`` to the identity provider ``entra``, and its SCIM client."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

from config.sso import SsoMethod, SsoProvider
from server.http.scim.requests import ScimAnswer, ScimRequest
from server.http.scim.service import ScimService
from storage.database.records import User
from storage.database.store import Store
from tests.support.store_rows import session_row

PROVIDER = SsoProvider(method=SsoMethod.OIDC)
TO = ("--to", "entra")


def ask(store: Store, method: str, path: str, body: object = None, query: str = "") -> ScimAnswer:
    """Let the client of entra ask for something."""
    raw = b"" if body is None else json.dumps(body).encode()
    return ScimService(store, "entra", PROVIDER, "https://h").answer(ScimRequest(method, path, query, {}, raw))


def speaks_of(store: Store, name: str, external_id: str | None = None, **more: object) -> ScimAnswer:
    """Let the client try to make a person."""
    said = {"userName": name, "externalId": f"oid-{name}" if external_id is None else external_id, "active": True}
    return ask(store, "POST", "/Users", said | more)


def used_password(store: Store, user: User, front_end: str = "sftp", *, days_ago: float = 1.0) -> None:
    """Let the user have been in by password."""
    at = time.time() - days_ago * 86_400
    row = session_row(f"{user.name}-{front_end}", user_id=user.id, front_end=front_end, factor="password")
    store.sessions.open(replace(row, opened_at=at, seen_at=at, ended_at=at + 60.0))


def by_name(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Give the users that a command printed, by name."""
    return {row["user"]: row for row in data["users"]}
