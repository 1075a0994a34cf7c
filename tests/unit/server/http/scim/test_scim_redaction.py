"""What goes to the provisioning log has no secret in it, and a bounded size."""

from __future__ import annotations

import json

import pytest

from server.http.scim.redaction import MASK, MAX_KEPT, kept_body, kept_json

SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    "body",
    [
        {"userName": "a", "password": SECRET},
        {"PassWord": SECRET},
        {"urn:x:User": {"clientSecret": SECRET, "inner": [{"passwd": SECRET}]}},
        {"Operations": [{"op": "replace", "path": "password", "value": SECRET}]},
        {"Operations": [{"op": "add", "Path": "urn:ietf:params:scim:schemas:core:2.0:User:password", "Value": SECRET}]},
        {"Operations": [{"op": "add", "value": {"password": {"value": SECRET}}}]},
        [{"api_token": SECRET}],
    ],
)
def test_secrets_are_masked(body: object) -> None:
    """By the member's name in any case and depth, and as the value of a PATCH whose path names it."""
    for kept in (kept_body(json.dumps(body).encode()), kept_json(body)):
        assert SECRET not in kept
        assert MASK in kept


def test_everything_else_is_kept() -> None:
    """In its order, without blanks, letters as they are."""
    body = {"userName": "zoë", "emails": [{"value": "z@x", "primary": True}], "n": None}

    assert json.loads(kept_body(json.dumps(body).encode())) == body
    assert "zoë" in kept_json(body)


@pytest.mark.parametrize("raw", [b"{", b"\xff", b"[" * 20_000, b"{" * 10])
def test_what_is_no_json_is_told_by_its_size(raw: bytes) -> None:
    """It may hold anything."""
    assert kept_body(raw) == f"({len(raw)} bytes that are no JSON)"


def test_what_is_large_is_told_by_its_size() -> None:
    """Neither kept nor parsed."""
    text = json.dumps({"x": "y" * MAX_KEPT})

    assert kept_body(text.encode() * 5) == f"({len(text) * 5} bytes)"
    assert kept_json({"x": "y" * MAX_KEPT}) == f"({len(text) - 1} characters)"
    assert kept_body(b"") == ""
    assert kept_json(None) == ""


def test_depth_is_bounded() -> None:
    """What is nested deeper than anybody reads is masked."""
    body: object = SECRET
    for _ in range(200):
        body = {"a": body}

    assert SECRET not in kept_json(body)
