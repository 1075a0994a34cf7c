"""From the body of a POST, PUT or PATCH of a group to a delta, so that nobody reads all members for one change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from server.http.scim.attributes import COMMON, CORE, Kind, split_urn
from server.http.scim.bodies import scim11, values
from server.http.scim.bodies.documents import EXTENSION_URN, Document
from server.http.scim.bodies.group_extensions import is_extension, whole_extensions
from server.http.scim.bodies.member_ids import ONE_MEMBER, ids_of, selected_ids
from server.http.scim.bodies.patch_operations import MAX_OPERATIONS, MISSING, Operation, Value, Verb, operations
from server.http.scim.bodies.patch_paths import InExtension, target_of
from server.http.scim.bodies.values import Ignored
from server.http.scim.errors import ScimError
from storage.database.scim_changes import AddMembers, ClearMembers, MemberStep, RemoveMembers, ReplaceMembers

GROUP_SCHEMA = CORE[Kind.GROUP]
MAX_NAME = 256  # characters
MAX_IDS = 100_000  # in one request
MAX_STEPS = 50  # in one request, after joining those in a row: each is a set of statements in the one transaction
MAX_SELECTED = 16 * 1024  # characters of paths that the grammar must read in one request, at about 10 us each

ASSIGNED = frozenset({"id", "meta"})


@dataclass(frozen=True, slots=True)
class GroupDelta:
    """What changes of a group. The steps are taken in their order; without any, the members are not touched.

    ``display_name`` and ``external_id`` are None if they stay as they are; an externalId is never taken away, since
    roles are mapped by it. No id is twice in one step. The extensions are replaced by those of a ``document``;
    ``extensions`` are operations on the present ones.
    """

    display_name: str | None = None
    external_id: str | None = None
    steps: tuple[MemberStep, ...] = ()
    ignored: tuple[str, ...] = ()
    document: Document | None = None
    extensions: tuple[Operation, ...] = ()


def group_created(body: object) -> GroupDelta:
    """Read the body of a POST; Entra creates groups without members.

    Raises:
        ScimError: 400 invalidSyntax or invalidValue; 413 if there are more than 100,000 members.
    """
    return _whole(body, Verb.ADD)


def group_replaced(body: object) -> GroupDelta:
    """Read the body of a PUT. Without ``members`` it never touches them; an empty list ends all memberships.

    Without ``externalId``, or with an empty one, that stays too: it tells an identity provider's group from another of
    the same name, and roles are mapped by it.
    """
    return _whole(body, Verb.REPLACE)


def group_patched(body: object) -> GroupDelta:
    """Read a PATCH body, in the dialects of Entra and Okta, or in the form of SCIM 1.1.

    A remove of ``members`` that names some removes exactly these; only one without a value removes all.

    Raises:
        ScimError: 400 with the scimType of the first operation that fails; 413 if there is too much to do.
    """
    change = _Change()
    for operation in scim11.group_operations(body) or operations(body):
        change.apply(operation)
    return change.delta()


def _whole(body: object, verb: Verb) -> GroupDelta:
    if not isinstance(body, dict):
        raise ScimError(400, "the body is not a JSON object", "invalidSyntax")
    change = _Change()
    change.set_each({key: value for key, value in body.items() if not is_extension(key)}, verb)
    delta = change.delta()
    if delta.display_name is None:
        raise values.invalid("displayName", "is required")
    document, ignored = whole_extensions(body)
    return replace(delta, document=document, ignored=tuple(dict.fromkeys((*delta.ignored, *ignored))))


class _Change:
    """A delta while it is being read."""

    def __init__(self) -> None:
        self._display_name: str | None = None
        self._external_id: str | None = None
        self._steps: list[tuple[Verb, dict[str, None]] | ClearMembers] = []
        self._ids = 0
        self._selected = 0
        self._ignored = Ignored()
        self._extensions: list[Operation] = []

    def delta(self) -> GroupDelta:
        """Give what was read."""
        steps = tuple(step if isinstance(step, ClearMembers) else _step(*step) for step in self._steps)
        return GroupDelta(
            self._display_name, self._external_id, steps, self._ignored.names(), extensions=tuple(self._extensions)
        )

    def apply(self, operation: Operation) -> None:
        """Read one operation, at its path or at each of its value's keys."""
        if operation.path is not None:
            self._apply_at(operation.path, operation.verb, operation.value)
        elif operation.verb is Verb.REMOVE:
            raise ScimError(400, "a remove needs a path", "noTarget")
        elif isinstance(operation.value, dict):
            self.set_each(operation.value, operation.verb)
        else:
            raise ScimError(400, "an operation without a path needs an object as its value", "invalidValue")

    def set_each(self, value: dict[str, Any], verb: Verb) -> None:
        """Read the attributes of a resource, whole or in part; what is unknown is ignored.

        Null is absent, but in an extension, where it takes away what is there, as in a user's. Okta's rename of a group
        carries the group's own id.
        """
        seen = set()
        for key, each in value.items():
            schema, name = split_urn(key)
            lower = name.lower() if schema is None or schema is GROUP_SCHEMA else ""
            is_kept = is_extension(key) and EXTENSION_URN.fullmatch(key) is not None
            if lower == "schemas" or (each is None and not is_kept):
                continue
            if lower in seen:
                raise values.invalid(name, "is given twice")
            if is_kept:
                seen.add(lower)
                self._extend(key, verb, each)
            elif lower in {"displayname", "externalid", "members"}:
                seen.add(lower)
                self._change(lower, verb, each)
            else:
                self._ignored.add("password" if values.is_password(name) else key)

    def _apply_at(self, path: str, verb: Verb, value: Value) -> None:
        if value is MISSING and verb is not Verb.REMOVE:
            raise ScimError(400, f"{verb} without a value", "invalidValue")
        if is_extension(path):
            self._extend(path, verb, value)
            return
        schema, name = split_urn(path)
        lower = name.lower() if schema is None or schema is GROUP_SCHEMA else ""
        if "[" in lower:
            self._remove_selected(name, verb)
        elif lower in {"displayname", "externalid", "members"}:
            self._change(lower, verb, value)
        elif lower in ASSIGNED:
            raise ScimError(400, f"{lower} is read-only", "mutability")
        elif lower in {"schemas", "password"}:
            self._ignored.add(lower)
        else:
            raise ScimError(400, "a group has no such attribute", "invalidPath")

    def _change(self, lower: str, verb: Verb, value: Value) -> None:
        match lower:
            case "displayname":
                self._display_name = _display_name(verb, value)
            case "externalid":
                if verb is Verb.REMOVE:
                    self._external_id = ""
                elif kept := values.simple(COMMON["externalid"], value, "externalId"):
                    self._external_id = str(kept)
            case _:
                self._change_members(verb, value)

    def _extend(self, path: str, verb: Verb, value: Value) -> None:
        """Keep what is to be done to an extension; only who has the present ones can do it."""
        if not isinstance(target_of(path), InExtension):
            self._ignored.add("password")
            return
        if len(self._extensions) == MAX_OPERATIONS:
            raise ScimError(413, "too many changes in one request")
        self._extensions.append(Operation(verb, path, value))

    def _change_members(self, verb: Verb, value: Value) -> None:
        if verb is Verb.REMOVE and value is MISSING:
            if not (self._steps and isinstance(self._steps[-1], ClearMembers)):
                self._append(ClearMembers())
        elif verb is not Verb.ADD and value is None:  # a value that was lost on its way must not empty a group
            raise values.invalid("members", "null is no list of members")
        else:
            self._add_step(verb, ids_of(value))

    def _remove_selected(self, path: str, verb: Verb) -> None:
        """Remove the members that a path selects; nothing else can be done to a membership."""
        if verb is not Verb.REMOVE:
            raise ScimError(400, "members that a path selects can only be removed", "noTarget")
        self._selected += 0 if ONE_MEMBER.fullmatch(path) else len(path)
        if self._selected > MAX_SELECTED:
            raise ScimError(413, "too many changes in one request")
        self._add_step(verb, selected_ids(path))

    def _add_step(self, verb: Verb, ids: list[str]) -> None:
        """Append a step, or join it with the last one if that is of the same kind and adds up."""
        self._ids += len(ids)
        if self._ids > MAX_IDS:
            raise ScimError(413, f"more than {MAX_IDS} members in one request")
        last = self._steps[-1] if self._steps else None
        if verb is not Verb.REPLACE and isinstance(last, tuple) and last[0] is verb:
            last[1].update(dict.fromkeys(ids))
        elif ids or verb is Verb.REPLACE:
            self._append((verb, dict.fromkeys(ids)))

    def _append(self, step: tuple[Verb, dict[str, None]] | ClearMembers) -> None:
        if len(self._steps) == MAX_STEPS:
            raise ScimError(413, f"members are added and removed in turn more than {MAX_STEPS} times in one request")
        self._steps.append(step)


def _step(verb: Verb, ids: dict[str, None]) -> MemberStep:
    match verb:
        case Verb.ADD:
            return AddMembers(tuple(ids))
        case Verb.REMOVE:
            return RemoveMembers(tuple(ids))
        case Verb.REPLACE:
            return ReplaceMembers(tuple(ids))


def _display_name(verb: Verb, value: Value) -> str:
    if verb is Verb.REMOVE:
        raise ScimError(400, "displayName cannot be removed", "mutability")
    if not isinstance(value, str) or not value.strip():
        raise values.invalid("displayName", "is not a name")
    return values.string(value, "displayName", longest=MAX_NAME)
