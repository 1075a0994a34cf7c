"""The ids of a group's members, from a value or from a path like ``members[value eq "..."]``."""

from __future__ import annotations

import json
import re

from scim2_models import InvalidPathException, Path
from scim2_models.path import CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator, ValuePath

from server.http.scim.attributes import CORE, Kind
from server.http.scim.bodies import values
from server.http.scim.errors import ScimError

MEMBERS = CORE[Kind.GROUP].attributes["members"]
MAX_ID = 128  # characters
MAX_SELECTION = 1024  # characters of a path that selects more than one member

WITHOUT_TYPE = frozenset({"value", "$ref", "display"})
ONE_MEMBER = re.compile(
    r'members\s*\[\s*value\s+eq\s+("(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-f]{4})*")\s*\]', re.IGNORECASE
)


def ids_of(value: object) -> list[str]:
    """Give the ids in a value: a list of members, one member, or a bare id; null is no member.

    Raises:
        ScimError: 400 invalidValue for what is no member's id, and for a group as a member.
    """
    if value is None:
        return []
    return [_id_of(each) for each in value] if isinstance(value, list) else [_id_of(value)]


def selected_ids(path: str) -> list[str]:
    """Give the ids that a path selects by comparing ``value`` with them, several joined by ``or``.

    Raises:
        ScimError: 400 invalidPath or invalidFilter; any other filter is refused, since it would need all members.
    """
    if one := ONE_MEMBER.fullmatch(path):
        return [_checked(json.loads(one[1]))]
    if len(path) > MAX_SELECTION:
        raise ScimError(400, f"a path has more than {MAX_SELECTION} characters", "invalidPath")
    try:
        node = Path(path).ast
    except InvalidPathException:
        node = None
    if not isinstance(node, ValuePath) or str(node.attr_path).lower() != "members" or node.sub_attr is not None:
        raise ScimError(400, "this is no path to members", "invalidPath")
    return _compared(node.val_filter)


def _compared(node: FilterNode) -> list[str]:
    match node:
        case Comparison(op=CompareOperator.eq, value=value, attr_path=path) if str(path).lower() == "value":
            return [_checked(value)]
        case LogicalExpr(op=LogicalOperator.or_, terms=terms):
            return [each for term in terms for each in _compared(term)]
        case _:
            raise ScimError(400, "members are selected by their value only", "invalidFilter")


def _id_of(member: object) -> str:
    if not isinstance(member, dict):
        return _checked(member)
    if member.keys() <= WITHOUT_TYPE:  # nearly always
        return _checked(member.get("value"))
    named = {}
    for key, value in member.items():
        values.refuse_deletion(key, MEMBERS)
        if key.lower() in named:
            raise values.invalid("members", "a member has a part twice")
        named[key.lower()] = value
    kind = named.get("type")
    if kind is not None and (not isinstance(kind, str) or kind.lower() != "user"):
        raise values.invalid("members", "nested groups are not supported: only users can be members")
    return _checked(named.get("value"))


def _checked(member_id: object) -> str:
    if not isinstance(member_id, str) or not member_id:
        raise values.invalid("members", "a member's value is its id, a string")
    return values.string(member_id, "members", longest=MAX_ID)
