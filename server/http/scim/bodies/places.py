"""What an attribute's name in a filter or in ``attributes`` points to, and how it is read from a rendered resource."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from server.http.scim.attributes import COMMON, CORE, ENTERPRISE_SCHEMA, SCHEMAS, Attribute, Kind, Schema, split_urn

SCHEMAS_OF: Mapping[Kind, tuple[Schema, ...]] = MappingProxyType(
    {Kind.USER: (CORE[Kind.USER], ENTERPRISE_SCHEMA), Kind.GROUP: (CORE[Kind.GROUP],)}
)
"""The schemas of a kind of resource: its own, then those that extend it."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a resource: in an extension or not, an attribute, perhaps one part of it.

    ``extension`` is the URN below which the resource has the attribute, "" for its own schema's attributes.
    ``name`` and ``part`` are in the canonical spelling, "" for a whole extension and for a whole attribute.
    ``attribute`` and ``part_attribute`` are what is declared of them. Nothing is declared of extensions that
    this server does not know and only keeps.
    """

    extension: str
    name: str
    part: str = ""
    attribute: Attribute | None = None
    part_attribute: Attribute | None = None

    @property
    def is_declared(self) -> bool:
        """Whether this server knows the schema, so that resources have its names in the canonical spelling."""
        return not self.extension or self.extension in SCHEMAS

    def held(self, resource: Mapping[str, Any]) -> object:
        """Give what the resource has for the attribute, whole and with all its parts; None if nothing."""
        holder: object = resource
        if self.extension:
            holder = _member(resource, self.extension, exactly=self.is_declared)
            if not self.name:
                return holder
        return _member(holder, self.name, exactly=self.is_declared)

    def values(self, resource: Mapping[str, Any]) -> list[Any]:
        """Give every value that the resource has here, and nothing for what it lacks."""
        held = self.held(resource)
        values = held if isinstance(held, list) else [held]
        if self.part:
            values = [_member(value, self.part, exactly=self.is_declared) for value in values]
        return [value for value in values if value is not None]


@lru_cache(maxsize=512)
def place_of(text: str, kind: Kind) -> Place | None:
    """Find what a name means for this kind of resource: in any case, with or without the schema's URN.

    The enterprise extension's attributes are also found without its URN, as Entra asks for them. None means that
    resources of this kind never have such an attribute.
    """
    schema, rest = split_urn(text)
    if schema is None:
        if text[:4].lower() == "urn:":
            return _undeclared(text)
        return next((place for each in SCHEMAS_OF[kind] if (place := _declared(each, text, kind)) is not None), None)
    if schema not in SCHEMAS_OF[kind]:
        return None
    if not rest:
        return Place(schema.urn, "") if schema is not CORE[kind] else None
    return _declared(schema, rest, kind)


def _declared(schema: Schema, text: str, kind: Kind) -> Place | None:
    name, dot, part_name = text.partition(".")
    own = schema is CORE[kind]
    attribute = schema.attribute(name) or (COMMON.get(name.lower()) if own else None)
    if attribute is None:
        return None
    extension = "" if own else schema.urn
    if not dot:
        return Place(extension, attribute.name, attribute=attribute)
    part = attribute.sub_attribute(part_name)
    if part is None:
        return None
    return Place(extension, attribute.name, part.name, attribute, part)


def _undeclared(text: str) -> Place | None:
    """Part ``urn:…:name.part``: the URN of an extension that is not known ends at the last colon."""
    extension, _, rest = text.rpartition(":")
    name, _, part = rest.partition(".")
    return Place(extension, name, part) if name and ":" in extension else None


def _member(holder: object, name: str, *, exactly: bool) -> object:
    """Give a member of an object; in any case of its name if the object is kept as a client spelled it."""
    if not isinstance(holder, Mapping):
        return None
    if exactly or name in holder:
        return holder.get(name)
    wanted = name.lower()
    return next((value for key, value in holder.items() if key.lower() == wanted), None)
