"""What a PATCH path points at. The same reading holds for the keys of an operation without a path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from scim2_models import InvalidPathException, Path
from scim2_models.path import ValuePath

from server.http.scim.attributes import COMMON, ENTERPRISE_SCHEMA, Attribute, Schema, split_urn
from server.http.scim.bodies import values
from server.http.scim.bodies.documents import EXTENSION_URN, USER_ATTRIBUTES, USER_SCHEMA
from server.http.scim.bodies.patch_selections import Selection, selection
from server.http.scim.errors import ScimError

MAX_PATH = 1024  # characters
MAX_CACHED_PATH = 256
CACHED_PATHS = 512

PLAIN = re.compile(r"(\$?[A-Za-z][A-Za-z0-9$_-]*)(?:\.(\$?[A-Za-z][A-Za-z0-9$_-]*))?")


@dataclass(frozen=True, slots=True)
class Place:
    """An attribute that is kept, or one part of it, or some entries of it, or one part of some entries."""

    attribute: Attribute
    part: Attribute | None = None
    selection: Selection | None = None
    in_enterprise: bool = False


@dataclass(frozen=True, slots=True)
class WholeUser:
    """The core schema's URN alone: the resource itself."""


@dataclass(frozen=True, slots=True)
class WholeEnterprise:
    """The enterprise extension's URN alone."""


@dataclass(frozen=True, slots=True)
class InExtension:
    """Something in an extension that nobody here knows: where its URN ends is told by the document."""

    path: str


@dataclass(frozen=True, slots=True)
class Assigned:
    """What only the server assigns."""

    name: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """What is taken and never kept: a password, and the list of schemas."""

    name: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """No attribute that is kept."""

    name: str


Target: TypeAlias = Place | WholeUser | WholeEnterprise | InExtension | Assigned | Dropped | Unknown


def target_of(path: str) -> Target:
    """Say what a path points at, whatever the case of its names.

    Raises:
        ScimError: 400 invalidPath if it is no path or points below what has no parts; invalidFilter for its filter.
    """
    if len(path) > MAX_PATH:
        raise ScimError(400, f"a path has more than {MAX_PATH} characters", "invalidPath")
    return _remembered(path) if len(path) <= MAX_CACHED_PATH else _target(path)


def _target(path: str) -> Target:
    schema, rest = split_urn(path)
    if schema is None and path[:4].lower() == "urn:":
        return _in_extension(path)
    if not rest:
        return _whole(path, schema)
    name, part, filtered = _parsed(rest)
    if values.is_password(name):
        return Dropped("password")
    core = schema is None or schema is USER_SCHEMA
    if core and (attribute := USER_ATTRIBUTES.get(name.lower())) is not None:
        return _place(attribute, part, filtered)
    if core and (target := _not_kept(name)) is not None:
        return target
    attribute = None if schema is USER_SCHEMA else ENTERPRISE_SCHEMA.attribute(name)
    return Unknown(name) if attribute is None else _place(attribute, part, filtered, in_enterprise=True)


def _whole(path: str, schema: Schema | None) -> Target:
    """Say what a URN alone points at."""
    if schema is USER_SCHEMA:
        return WholeUser()
    return WholeEnterprise() if schema is ENTERPRISE_SCHEMA else Unknown(path)


def _not_kept(name: str) -> Assigned | Dropped | None:
    """Say of an attribute that every resource has, or a user, why a client does not change it."""
    if name.lower() == "schemas":
        return Dropped("schemas")
    assigned = COMMON.get(name.lower()) or USER_SCHEMA.attribute(name)
    return None if assigned is None else Assigned(assigned.name)


_remembered = lru_cache(maxsize=CACHED_PATHS)(_target)


def _parsed(path: str) -> tuple[str, str | None, ValuePath | None]:
    """Part a path without a URN into an attribute, a part of it, and the filter of its entries."""
    if plain := PLAIN.fullmatch(path):
        return plain[1], plain[2], None
    if "[" in path:
        try:
            node = Path(path).ast
        except InvalidPathException:
            node = None
        if isinstance(node, ValuePath) and node.attr_path.uri is None:
            return node.attr_path.attr, node.sub_attr, node
    raise ScimError(400, "this is no path to an attribute", "invalidPath")


def _place(
    attribute: Attribute, part_name: str | None, filtered: ValuePath | None, *, in_enterprise: bool = False
) -> Place:
    part = attribute.sub_attribute(part_name) if part_name is not None else None
    if part is None and part_name is not None:
        raise ScimError(400, f"{attribute.name} has no such part", "invalidPath")
    if filtered is None:
        return Place(attribute, part, None, in_enterprise)
    if not attribute.multi_valued:
        raise ScimError(400, f"{attribute.name} has one value and takes no filter", "invalidPath")
    return Place(attribute, part, selection(attribute, filtered.val_filter), in_enterprise)


def _in_extension(path: str) -> Target:
    """Take a path into an unknown extension as it is, unless it points at a password there."""
    if not EXTENSION_URN.fullmatch(path):
        raise ScimError(400, "this is no path into an extension", "invalidPath")
    if values.is_password(path):
        return Dropped("password")
    return InExtension(path)
