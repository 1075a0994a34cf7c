"""What clients of SCIM 1.1 still send, OneLogin's templates among them, in the words of SCIM 2.0."""

from __future__ import annotations

from typing import Any

from server.http.scim.bodies.patch_operations import Operation, Verb

CORE_11 = "urn:scim:schemas:core:1.0"


def group_operations(body: object) -> list[Operation] | None:
    """Give the operations of a group's PATCH in the form of SCIM 1.1 (draft-scim-api-01 section 3.3.2), else None.

    There a PATCH is a part of the resource: members join, unless ``"operation": "delete"`` stands with them.
    """
    if not isinstance(body, dict) or any(str(key).lower() == "operations" for key in body):
        return None
    schemas = body.get("schemas")
    if not isinstance(schemas, list) or CORE_11 not in schemas:
        return None
    found: list[Operation] = []
    for key, value in body.items():
        match str(key).lower():
            case "schemas" | "id" | "meta":
                continue
            case "members" if isinstance(value, list):
                found += _member_operations(value)
            case _:
                found.append(Operation(Verb.REPLACE, key, value))
    return found


def _member_operations(members: list[Any]) -> list[Operation]:
    steps: dict[Verb, list[Any]] = {Verb.REMOVE: [], Verb.ADD: []}
    for member in members:
        named = {str(key).lower(): value for key, value in member.items()} if isinstance(member, dict) else {}
        verb = Verb.REMOVE if str(named.pop("operation", "")).lower() == "delete" else Verb.ADD
        steps[verb].append(named or member)
    return [Operation(verb, "members", given) for verb, given in steps.items() if given]
