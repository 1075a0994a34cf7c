"""The operations of a PATCH body: what they are, and how many there may be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Final, Literal, TypeAlias

from server.http.scim.errors import ScimError

MAX_OPERATIONS = 1000
PATCH_MESSAGE = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MESSAGES = "urn:ietf:params:scim:api:messages:"


class Verb(StrEnum):
    """What an operation does; Entra writes them with a capital."""

    ADD = "add"
    REPLACE = "replace"
    REMOVE = "remove"


class Missing(Enum):
    """A value that an operation does not have, which is not the same as null."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING
Value: TypeAlias = Any | Literal[Missing.MISSING]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; ``path`` is None if it is about the resource itself. The value is as it was sent."""

    verb: Verb
    path: str | None
    value: Value


def operations(body: object) -> list[Operation]:
    """Read the operations of a PATCH body, names and verbs in any case.

    Raises:
        ScimError: 400 invalidSyntax if this is no PATCH; 413 if there are more than 1000.
    """
    message = _members(body, "the body")
    schemas = message.get("schemas")
    named = [each.lower() for each in schemas if isinstance(each, str)] if isinstance(schemas, list) else []
    if PATCH_MESSAGE.lower() not in named and any(each.startswith(MESSAGES) for each in named):
        raise ScimError(400, "the body is another message than a PatchOp", "invalidSyntax")
    given = message.get("operations")
    if not isinstance(given, list) or not given:
        raise ScimError(400, "Operations is not a list of at least one operation", "invalidSyntax")
    if len(given) > MAX_OPERATIONS:
        raise ScimError(413, f"more than {MAX_OPERATIONS} operations in one request")
    return [_operation(each) for each in given]


def _operation(given: object) -> Operation:
    members = _members(given, "an operation")
    verb, path = members.get("op"), members.get("path")
    if not isinstance(verb, str) or verb.lower() not in set(Verb):
        raise ScimError(400, "op is none of add, replace and remove", "invalidSyntax")
    if path is not None and not isinstance(path, str):
        raise ScimError(400, "path is not a string", "invalidPath")
    return Operation(Verb(verb.lower()), path or None, members.get("value", MISSING))


def _members(given: object, what: str) -> dict[str, Any]:
    """Give an object's members by their names in lower case; refuses one that is there twice."""
    if not isinstance(given, dict):
        raise ScimError(400, f"{what} is not a JSON object", "invalidSyntax")
    members = {key.lower(): value for key, value in given.items()}
    if len(members) < len(given):
        raise ScimError(400, f"{what} has a member twice", "invalidSyntax")
    return members
