"""PATCH of a user (RFC 7644 section 3.5.2), in the dialects of Entra, Okta and others, on a plain document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from server.http.scim.attributes import ENTERPRISE, ENTERPRISE_SCHEMA, Attribute
from server.http.scim.bodies import patch_extensions, values
from server.http.scim.bodies.documents import Document, finished_user, unknown_name
from server.http.scim.bodies.patch_entries import change_entries
from server.http.scim.bodies.patch_operations import MAX_OPERATIONS, MISSING, Operation, Value, Verb, operations
from server.http.scim.bodies.patch_paths import (
    Assigned,
    Dropped,
    InExtension,
    Place,
    Target,
    Unknown,
    WholeEnterprise,
    WholeUser,
    target_of,
)
from server.http.scim.bodies.values import Ignored
from server.http.scim.errors import ScimError

__all__ = ["MAX_OPERATIONS", "Operation", "operations", "patched_user"]

MAX_CHANGES = 300  # of one user in one request: no client has so many attributes to change
MAX_FILTERED = 16 * 1024  # characters of paths with filters in one request: parsing one costs about 10 us a character
MAX_VALUES = 1000  # entries of multi-valued attributes in one request; each is compared with those that are there
ALWAYS_THERE = frozenset({"userName", "active"})


def patched_user(present: Document, body: object) -> tuple[Document, tuple[str, ...]]:
    """Apply a PATCH body to a user: the new document, and the names of what was ignored.

    All operations are applied or none; ``present`` is never changed. To apply the same body again changes nothing.

    Raises:
        ScimError: 400 with the scimType of the first operation that fails; 413 if there is too much to do.
    """
    patch = _Patch(present)
    for operation in operations(body):
        patch.apply(operation)
    return finished_user(patch.document), patch.ignored.names()


class _Patch:
    """A document while it is being changed."""

    def __init__(self, present: Document) -> None:
        self.document: Document = _copied(present)
        self.ignored = Ignored()
        self._changes = 0
        self._filtered = 0
        self._values = 0

    def apply(self, operation: Operation) -> None:
        """Apply one operation, at its path or at each of its value's keys."""
        if operation.path is not None:
            self._count(operation.path)
            self._change(target_of(operation.path), operation.verb, operation.value)
        elif operation.verb is Verb.REMOVE:
            raise ScimError(400, "a remove needs a path", "noTarget")
        else:
            self._change_each(operation.verb, operation.value, nested=False)

    def _count(self, path: str) -> None:
        """Refuse a request whose reading alone would take long."""
        self._changes += 1
        self._filtered += len(path) if "[" in path else 0
        if self._changes > MAX_CHANGES or self._filtered > MAX_FILTERED:
            raise ScimError(413, "too many changes in one request")

    def _change(self, target: Target, verb: Verb, value: Value) -> None:
        """Change what a path points at; refuses what cannot be changed."""
        match target:
            case WholeUser():
                if verb is Verb.REMOVE:
                    raise ScimError(400, "a remove needs the path of an attribute", "noTarget")
                self._change_each(verb, value, nested=True)
            case Assigned(name=name):
                raise ScimError(400, f"{name} is read-only", "mutability")
            case Unknown(name=name):
                raise ScimError(400, f"there is no attribute {name}", "invalidPath")
            case Dropped(name=name):
                self.ignored.add(name)
            case WholeEnterprise():
                self._change_enterprise(verb, _present(verb, value))
            case InExtension(path=path):
                patch_extensions.change(self.document, path, verb, _present(verb, value), self.ignored)
                values.check_size(self.document)  # each further change of a large list would cost as much again
            case Place():
                self._change_place(target, verb, _present(verb, value))
            case _:
                assert_never(target)

    def _change_each(self, verb: Verb, value: Value, *, nested: bool) -> None:
        """Change what each key of an object points at; as in a whole resource, what is unknown is ignored.

        Okta's rename of a group and others carry the resource's own id.
        """
        if not isinstance(value, dict):
            raise ScimError(400, "an operation without a path needs an object as its value", "invalidValue")
        _refuse_twice(value)
        for key, each in value.items():
            self._count(key)
            target = _target_of_key(key)
            match target:
                case Assigned(name=name) | Unknown(name=name):
                    self.ignored.add(name)
                case WholeUser() if nested:
                    raise ScimError(400, "the core schema is named below itself", "invalidPath")
                case _:
                    self._change(target, verb, each)

    def _change_enterprise(self, verb: Verb, value: Value) -> None:
        """Change the enterprise extension as a whole: what is given of it, or all of it if it is removed."""
        if verb is Verb.REMOVE or value is None:
            if verb is not Verb.ADD:
                self.document.pop(ENTERPRISE, None)
            return
        if not isinstance(value, dict):
            raise values.invalid(ENTERPRISE, "is not an object")
        _refuse_twice(value)
        for name, each in value.items():
            attribute = ENTERPRISE_SCHEMA.attribute(name)
            if attribute is None:
                self.ignored.add("password" if values.is_password(name) else unknown_name(ENTERPRISE_SCHEMA, name))
            else:
                self._change_place(Place(attribute, in_enterprise=True), verb, each)

    def _change_place(self, place: Place, verb: Verb, value: Value) -> None:
        """Change an attribute, its part or its entries."""
        container = self.document.setdefault(ENTERPRISE, {}) if place.in_enterprise else self.document
        attribute = place.attribute
        if attribute.multi_valued:
            self._values += len(value) if isinstance(value, list) else 1
            if self._values > MAX_VALUES:
                raise ScimError(413, "too many values in one request")
            entries = change_entries(place, container.get(attribute.name, []), verb, value, self.ignored)
            container[attribute.name] = entries
        elif attribute.type == "complex":
            container[attribute.name] = self._changed_parts(place, container.get(attribute.name, {}), verb, value)
        else:
            _change_simple(container, attribute, verb, value)

    def _changed_parts(self, place: Place, present: Mapping[str, Any], verb: Verb, value: Value) -> dict[str, Any]:
        """Give a single complex value after the change: parts that the value does not name stay."""
        attribute, part = place.attribute, place.part
        given: Mapping[str, Any] | None
        if part is not None:
            name = f"{attribute.name}.{part.name}"
            given = {part.name: None if verb is Verb.REMOVE else values.simple(part, value, name)}
        elif verb is Verb.REMOVE:
            given = None
        else:
            given = values.single_complex(attribute, value, self.ignored)
        return {} if given is None else values.assigned({**present, **given})


def _change_simple(container: Document, attribute: Attribute, verb: Verb, value: Value) -> None:
    """Set or remove a value that is not complex; to add is to replace. What every user has is not removed."""
    kept = None if verb is Verb.REMOVE else values.simple(attribute, value, attribute.name)
    if kept is not None:
        container[attribute.name] = kept
    elif attribute.name not in ALWAYS_THERE:
        container.pop(attribute.name, None)
    elif verb is Verb.REMOVE:
        raise ScimError(400, f"{attribute.name} cannot be removed", "mutability")
    else:
        raise values.invalid(attribute.name, "cannot be empty")


def _present(verb: Verb, value: Value) -> Value:
    """Give the value; refuses an add or a replace that has none."""
    if value is MISSING and verb is not Verb.REMOVE:
        raise ScimError(400, f"{verb} without a value", "invalidValue")
    return value


def _refuse_twice(value: Mapping[str, Any]) -> None:
    """Refuse a name in two spellings: which of the values is meant?"""
    if len({key.lower() for key in value}) < len(value):
        raise ScimError(400, "an attribute is given twice", "invalidValue")


def _target_of_key(key: str) -> Target:
    """Say what a key points at; one that is not even a path is unknown, as it is in a whole resource."""
    try:
        return target_of(key)
    except ScimError:
        if "[" in key:
            raise
        return Unknown(key)


def _copied(value: Any) -> Any:
    """Copy a JSON value, which is faster than :func:`copy.deepcopy`."""
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_copied(each) for each in value]
    return value
