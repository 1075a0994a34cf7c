"""What counts here of a user's document: the name, the mail address and the rest are facts that the client changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from storage.database.names import shown
from storage.database.scim_changes import PersonFacts

MAX_DISPLAY_NAME = 256
MAX_EMAIL = 320


def facts_of(document: Mapping[str, Any]) -> PersonFacts:
    """Draw the facts from a canonical document."""
    emails = tuple(str(entry["value"]) for entry in document.get("emails", ()) if entry.get("value"))
    return PersonFacts(
        user_name=document["userName"],
        external_id=document.get("externalId", ""),
        display_name=shown(_display_name(document), MAX_DISPLAY_NAME),
        email=next((email for email in _by_weight(document) if shown(email, MAX_EMAIL) == email), ""),
        emails=emails,
        active=document["active"],
    )


def speaks_of_access(body: object) -> bool:
    """Whether a PUT or PATCH says anything of ``active``, be it at a path, in a value or under the schema's URN."""
    match body:
        case dict():
            named = {str(name).lower(): value for name, value in body.items()}
            operations = named.get("operations")
            if isinstance(operations, list):
                return any(_of_access(operation) for operation in operations)
            return any(_is_active(name) and value is not None for name, value in named.items())
        case _:
            return False


def _of_access(operation: object) -> bool:
    if not isinstance(operation, dict):
        return False
    named = {str(name).lower(): value for name, value in operation.items()}
    path, value = named.get("path"), named.get("value")
    if path:
        return _is_active(str(path))
    return speaks_of_access(value) or _speaks_inside(value)


def _speaks_inside(value: object) -> bool:
    """Whether an object below the core schema's URN says it: ``{"urn:…:core:2.0:User": {"active": …}}``."""
    return isinstance(value, dict) and any(
        str(name).lower().startswith("urn:") and speaks_of_access(inner) for name, inner in value.items()
    )


def _is_active(name: str) -> bool:
    return name.strip().lower().rpartition(":")[2] == "active"


def _display_name(document: Mapping[str, Any]) -> str:
    name = document.get("name", {})
    parts = [str(name[part]) for part in ("givenName", "familyName") if name.get(part)]
    return str(document.get("displayName") or name.get("formatted") or " ".join(parts))


def _by_weight(document: Mapping[str, Any]) -> Iterator[str]:
    """Give the addresses, the one to write to first: the primary one, else that of work, else any."""
    entries = [entry for entry in document.get("emails", ()) if entry.get("value")]

    def weight(entry: Mapping[str, Any]) -> tuple[bool, bool]:
        return entry.get("primary") is not True, str(entry.get("type", "")).lower() != "work"

    return (str(entry["value"]) for entry in sorted(entries, key=weight))
