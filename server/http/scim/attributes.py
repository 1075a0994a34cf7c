"""The attributes that are kept, and what holds for each: the one place that PATCH and discovery are driven from.

The facts come from scim2-models' classes of RFC 7643, with what is not kept here taken away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import scim2_models

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
ENTERPRISE_11 = "urn:scim:schemas:extension:enterprise:1.0"  # in OneLogin's templates
MISTYPED_ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0User"  # in Entra's own samples

NOT_KEPT = frozenset({"password", "x509Certificates"})
NOT_KEPT_OF_MANAGER = frozenset({"$ref", "displayName"})  # only the manager's id is


class Kind(StrEnum):
    """A type of resource, by the name that ``meta.resourceType`` carries."""

    USER = "User"
    GROUP = "Group"


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute or a sub-attribute, with the characteristics of RFC 7643 section 2.2 and 7.

    ``name`` is the canonical spelling; ``type`` is "string", "boolean", "complex", "reference" or "dateTime".
    ``sub_attributes`` has a complex attribute's parts by their names in lower case, in the order of the RFC.
    """

    name: str
    type: str = "string"
    multi_valued: bool = False
    description: str = ""
    required: bool = False
    case_exact: bool = False
    mutability: str = "readWrite"
    returned: str = "default"
    uniqueness: str = "none"
    canonical_values: tuple[str, ...] = ()
    reference_types: tuple[str, ...] = ()
    sub_attributes: Mapping[str, Attribute] = field(default_factory=lambda: MappingProxyType({}))

    def sub_attribute(self, name: str) -> Attribute | None:
        """Find a part by its name in any case."""
        return self.sub_attributes.get(name.lower())

    @property
    def is_read_only(self) -> bool:
        """Whether only this server assigns it."""
        return self.mutability == "readOnly"


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema: its URN in the canonical spelling, and its attributes by their names in lower case."""

    urn: str
    name: str
    description: str
    attributes: Mapping[str, Attribute]

    def attribute(self, name: str) -> Attribute | None:
        """Find an attribute by its name in any case."""
        return self.attributes.get(name.lower())

    def __iter__(self) -> Iterator[Attribute]:
        return iter(self.attributes.values())


def named(attributes: Iterable[Attribute]) -> Mapping[str, Attribute]:
    """Give the attributes by their names in lower case, in their order."""
    return MappingProxyType({attribute.name.lower(): attribute for attribute in attributes})


def _attribute(fact: scim2_models.Attribute) -> Attribute:
    """Take over what scim2-models says of one attribute."""
    return Attribute(
        name=fact.name or "",
        type=str(fact.type),
        multi_valued=bool(fact.multi_valued),
        description=" ".join((fact.description or "").split()),
        required=bool(fact.required),
        case_exact=bool(fact.case_exact),
        mutability=str(fact.mutability),
        returned=str(fact.returned),
        uniqueness=str(fact.uniqueness),
        canonical_values=tuple(fact.canonical_values or ()),
        reference_types=tuple(fact.reference_types or ()),
        sub_attributes=named(_attribute(part) for part in fact.sub_attributes or ()),
    )


def _adapted(attribute: Attribute) -> Attribute:
    """Change what holds differently here."""
    parts = attribute.sub_attributes
    match attribute.name:
        case "active":
            # Not required by the RFC. Here every user has it, and it cannot be removed: a client that reads the
            # schemas must not think that it could.
            return replace(attribute, required=True)
        case "manager":
            kept = (replace(part, required=False) for part in parts.values() if part.name not in NOT_KEPT_OF_MANAGER)
            return replace(attribute, sub_attributes=named(kept))
        case "members":
            # A list of 50,000 members is long enough without their names, which no client keeps.
            shown = (_member_part(part) for part in parts.values() if part.name != "display")
            return replace(attribute, sub_attributes=named(shown))
        case _:
            return attribute


def _member_part(part: Attribute) -> Attribute:
    """Say of a part of ``members`` that only users can be members."""
    match part.name:
        case "type":
            return replace(part, canonical_values=("User",))
        case "$ref":
            return replace(part, reference_types=("User",))
        case _:
            return part


def _schema(model: type[scim2_models.Resource[Any] | scim2_models.Extension], name: str, description: str) -> Schema:
    """Draw a schema from a class of scim2-models."""
    facts = model.to_schema()
    kept = (_adapted(_attribute(fact)) for fact in facts.attributes or () if fact.name not in NOT_KEPT)
    return Schema(facts.id or "", name, description, named(kept))


CORE: Mapping[Kind, Schema] = MappingProxyType(
    {
        Kind.USER: _schema(scim2_models.User, "User", "User Account"),
        Kind.GROUP: _schema(scim2_models.Group, "Group", "Group"),
    }
)
"""The schema of a kind of resource."""

ENTERPRISE_SCHEMA = _schema(scim2_models.EnterpriseUser, "EnterpriseUser", "Enterprise User")

SCHEMAS: Mapping[str, Schema] = MappingProxyType(
    {schema.urn: schema for schema in (CORE[Kind.USER], ENTERPRISE_SCHEMA, CORE[Kind.GROUP])}
)
"""The schemas that are declared, by their URN."""

COMMON: Mapping[str, Attribute] = named(
    (
        Attribute("id", case_exact=True, mutability="readOnly", returned="always", uniqueness="server"),
        Attribute("externalId", case_exact=True),
        Attribute("schemas", type="reference", multi_valued=True, case_exact=True, returned="always"),
        Attribute(
            "meta",
            type="complex",
            mutability="readOnly",
            sub_attributes=named(
                (
                    Attribute("resourceType", case_exact=True, mutability="readOnly"),
                    Attribute("created", type="dateTime", mutability="readOnly"),
                    Attribute("lastModified", type="dateTime", mutability="readOnly"),
                    Attribute("location", type="reference", case_exact=True, mutability="readOnly"),
                    Attribute("version", case_exact=True, mutability="readOnly"),
                )
            ),
        ),
    )
)
"""What every resource has beside its schema's attributes: RFC 7643 section 3.1. No schema declares these."""

_CANONICAL_URNS = {urn.lower(): urn for urn in SCHEMAS} | {
    MISTYPED_ENTERPRISE.lower(): ENTERPRISE,
    ENTERPRISE_11: ENTERPRISE,
}


def canonical_urn(text: str) -> str:
    """Give a declared schema's URN in its own spelling, whatever the case and also if mistyped as Entra does.

    Every other text comes back as it is.
    """
    return _CANONICAL_URNS.get(text.lower(), text)


def split_urn(name: str) -> tuple[Schema | None, str]:
    """Part a name qualified by a declared schema's URN into that schema and the rest without the colon.

    The rest is empty if the name is the URN alone. A name that no declared URN leads is ``(None, name)``.
    """
    lower = name.lower()
    for urn, canonical in _CANONICAL_URNS.items():
        if lower.startswith(urn) and (len(lower) == len(urn) or lower[len(urn)] == ":"):
            return SCHEMAS[canonical], name[len(urn) + 1 :]
    return None, name
