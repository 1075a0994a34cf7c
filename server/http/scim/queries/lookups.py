"""Which parts of a filter an index can answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from scim2_models.path import CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator, ValuePath

from server.http.scim.attributes import Kind
from server.http.scim.bodies.places import place_of
from server.http.scim.queries import filter_text

Indexed = Literal["id", "userName", "externalId", "email", "displayName", "members", "manager"]

_NARROWEST_FIRST: tuple[Indexed, ...] = ("id", "userName", "externalId", "email", "manager", "displayName", "members")
_BY_VALUE: dict[str, Indexed] = {"emails": "email", "members": "members", "manager": "manager"}
_ITSELF: dict[str, Indexed] = {
    "id": "id",
    "userName": "userName",
    "externalId": "externalId",
    "displayName": "displayName",
}


@dataclass(frozen=True, slots=True)
class Lookup:
    """An equality that whatever matches the filter fulfils.

    ``value`` is as the client wrote it: an index without case folds it as it folded what it holds. "email",
    "members" and "manager" speak of the ``value`` of one of the entries.
    """

    attribute: Indexed
    value: str


@dataclass(frozen=True, slots=True)
class Lookups:
    """All equalities that a filter demands, the narrowest first, and whether it demands nothing else."""

    found: tuple[Lookup, ...]
    are_the_whole: bool


def lookups_of(node: FilterNode, literals: tuple[filter_text.Literal, ...], kind: Kind) -> Lookups:
    """Find what can be looked up in the conjunction that a filter is; nothing below ``or`` and ``not``."""
    found: list[Lookup] = []
    are_the_whole = True
    for term in _conjuncts(node):
        lookup, is_the_whole = _lookup_of(term, literals, kind)
        are_the_whole = are_the_whole and is_the_whole
        if lookup is not None:
            found.append(lookup)
    found.sort(key=lambda lookup: _NARROWEST_FIRST.index(lookup.attribute))
    return Lookups(tuple(found), are_the_whole)


def _conjuncts(node: FilterNode) -> Iterator[FilterNode]:
    if isinstance(node, LogicalExpr) and node.op is LogicalOperator.and_:
        for term in node.terms:
            yield from _conjuncts(term)
    else:
        yield node


def _lookup_of(node: FilterNode, literals: tuple[filter_text.Literal, ...], kind: Kind) -> tuple[Lookup | None, bool]:
    """Give the lookup in one term, and whether it says all that the term does."""
    if isinstance(node, Comparison):
        return (lookup := _equality(str(node.attr_path), node, literals, kind)), lookup is not None
    if isinstance(node, ValuePath):
        terms = list(_conjuncts(node.val_filter))
        for term in terms:
            if isinstance(term, Comparison):
                # Only what is compared with an entry's value: emails[type eq "work" and value eq "a@b"].
                lookup = _equality(f"{node.attr_path}.{term.attr_path}", term, literals, kind)
                if lookup is not None:
                    return lookup, len(terms) == 1
    return None, False


def _equality(name: str, node: Comparison, literals: tuple[filter_text.Literal, ...], kind: Kind) -> Lookup | None:
    literal = literals[node.value]
    place = place_of(name, kind)
    if node.op is not CompareOperator.eq or literal.is_null or place is None or place.attribute is None:
        return None
    if place.name in _BY_VALUE:
        return Lookup(_BY_VALUE[place.name], literal.text) if place.part in {"", "value"} else None
    attribute = _ITSELF.get(place.name)
    return None if attribute is None else Lookup(attribute, literal.text)
