"""External ids that are made of the login name, which a rename changes."""

from __future__ import annotations

from typing import Any

import pytest

from server.http.scim.nicknames import looks_like_nickname

GUID = "6c1f4a0e-1b7d-4d0e-9a55-0f6b0c1d2e01"


@pytest.mark.parametrize(
    ("external_id", "user_name", "is_one"),
    [
        ("chenwei", "chenwei@contoso.example", True),
        ("ChenWei", "chenwei@contoso.example", True),
        ("chenwei@contoso.example", "chenwei@contoso.example", True),
        ("chenwei", "chenwei", True),
        ("", "chenwei@contoso.example", False),
        (GUID, f"{GUID}@contoso.example", False),
        (GUID.replace("-", ""), f"{GUID.replace('-', '')}@contoso.example", False),
        ("00u1a2b3c4d5e6f7g8h9", "chenwei@contoso.example", False),
        ("4711", "chenwei@contoso.example", False),
        ("a" * 65, f"{'a' * 65}@contoso.example", False),
    ],
)
def test_what_looks_like_a_nickname(external_id: str, user_name: str, *, is_one: bool) -> None:
    """Short, no GUID, and the login name or what stands before its @; Okta's ids and personnel numbers do not."""
    assert looks_like_nickname({"externalId": external_id, "userName": user_name}) is is_one


@pytest.mark.parametrize(
    "document", [{}, {"userName": "chenwei"}, {"externalId": "chenwei"}, {"externalId": None, "userName": "none"}]
)
def test_a_document_that_lacks_one_has_no_nickname(document: dict[str, Any]) -> None:
    """Nothing is compared with what is not there."""
    assert not looks_like_nickname(document)
