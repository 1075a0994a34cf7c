"""Filters: RFC 7644 section 3.4.2.2, with what Entra sends beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scim2_models import SCIMException, ScimFilter
from scim2_models.path import Comparison, FilterNode, LogicalExpr, LogicalOperator, Not, Present, ValuePath

from server.http.scim.attributes import Attribute, Kind
from server.http.scim.bodies.places import Place, place_of
from server.http.scim.queries.comparing import check_of
from server.http.scim.queries.filter_text import MAX_FILTER, MAX_NESTING, MAX_TERMS, Literal, cut, invalid_filter
from server.http.scim.queries.lookups import Lookup, Lookups, lookups_of

__all__ = ["MAX_FILTER", "MAX_NESTING", "MAX_TERMS", "Filter", "Lookup", "parse"]

_Resource = Mapping[str, Any]
_Predicate = Callable[[_Resource], bool]
_Locate = Callable[[str], Place | None]


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter for one kind of resource, checked and ready to match.

    A name that resources of this kind do not have stands for an attribute without a value (RFC 7643 section 2.5).
    Of several values one must match, also for ``ne``.
    """

    _matches: _Predicate = field(repr=False)
    _lookups: Lookups
    _names: frozenset[str]

    def matches(self, resource: Mapping[str, Any]) -> bool:
        """Whether a rendered resource fulfils the filter."""
        return self._matches(resource)

    def reads(self, name: str) -> bool:
        """Whether :meth:`matches` must see the attribute of this canonical name, such as "members"."""
        return name in self._names

    @property
    def lookup(self) -> Lookup | None:
        """The narrowest of :attr:`lookups`, if there is one."""
        return self._lookups.found[0] if self._lookups.found else None

    @property
    def lookups(self) -> tuple[Lookup, ...]:
        """What an index can answer, the narrowest first: whatever matches the filter fulfils each of them."""
        return self._lookups.found

    @property
    def is_only_lookup(self) -> bool:
        """Whether :attr:`lookup` answers the filter whole, so that nothing needs to be matched."""
        return self._lookups.are_the_whole and len(self._lookups.found) == 1

    @property
    def is_only_lookups(self) -> bool:
        """Whether all :attr:`lookups` together answer the filter whole."""
        return self._lookups.are_the_whole


def parse(text: str, resource: Kind) -> Filter:
    """Read a filter.

    Raises ScimError (invalidFilter) if it is none, is beyond the limits, compares what cannot be compared in this
    way, or names no attribute at all that resources of this kind have.
    """
    parts = cut(text)
    try:
        syntax: ScimFilter[Any] = ScimFilter(parts.shape)  # it keeps the trees of the last thousand shapes
    except SCIMException:
        raise invalid_filter("The filter is not understood.") from None
    builder = _Builder(parts.literals, lambda name: place_of(name, resource))
    predicate = builder.predicate(syntax.ast)
    if not builder.names:
        raise invalid_filter("The filter names no attribute that is known here.")
    return Filter(predicate, lookups_of(syntax.ast, parts.literals, resource), frozenset(builder.names))


class _Builder:
    """Makes predicates of a filter's tree, and remembers the attributes that they read."""

    def __init__(self, literals: tuple[Literal, ...], locate: _Locate) -> None:
        self._literals = literals
        self._locate = locate
        self.names: set[str] = set()

    def predicate(self, node: FilterNode) -> _Predicate:
        match node:
            case Comparison():
                return self._comparison(node)
            case Present():
                return _presence(self._place(node))
            case Not():
                inner = self.predicate(node.expr)
                return lambda resource: not inner(resource)
            case LogicalExpr():
                return _joined(node.op, [self.predicate(term) for term in node.terms])
            case ValuePath():
                return self._selection(node)
            case _:
                raise invalid_filter("The filter is not understood.")

    def _place(self, node: Comparison | Present | ValuePath) -> Place | None:
        place = self._locate(str(node.attr_path))
        if place is not None:
            self.names.add(place.name or place.extension)
        return place

    def _comparison(self, node: Comparison) -> _Predicate:
        place, op, literal = self._place(node), str(node.op), self._literals[node.value]
        if literal.is_null:
            return _null_predicate(op, _presence(place))
        if place is None:
            return _always if op == "ne" else _never
        place = _compared(place)
        check = check_of(place.part_attribute or place.attribute, "eq" if op == "ne" else op, literal)
        if op == "ne":
            return lambda resource: not (values := place.values(resource)) or not all(map(check, values))
        return lambda resource: any(map(check, place.values(resource)))

    def _selection(self, node: ValuePath) -> _Predicate:
        """One entry must fulfil all that stands between the brackets."""
        place = self._place(node)
        attribute = None if place is None else place.attribute
        if place is not None and (place.part or not _has_entries(place)):
            raise invalid_filter("Brackets follow the name of an attribute with entries only.")
        inner = _Builder(self._literals, lambda name: _part_place(attribute, name))
        inside = inner.predicate(node.val_filter)
        if place is None:
            return _never
        return lambda resource: any(inside(_entry(value)) for value in place.values(resource))


def _has_entries(place: Place) -> bool:
    attribute = place.attribute
    return bool(place.name) and (attribute is None or attribute.multi_valued or attribute.type == "complex")


def _part_place(attribute: Attribute | None, name: str) -> Place | None:
    """Find what a name between brackets means: a part of the attribute before them."""
    if attribute is None:
        return Place("", name)  # in an extension that is not known anything may be
    if attribute.type != "complex":
        return Place("", "value", attribute=attribute) if name.lower() == "value" else None  # schemas[value eq "…"]
    part = attribute.sub_attribute(name)
    return None if part is None else Place("", part.name, attribute=part)


def _entry(value: object) -> _Resource:
    return value if isinstance(value, Mapping) else {"value": value}


def _compared(place: Place) -> Place:
    """Give what is compared: of a complex attribute its ``value``, as in ``manager eq "…"`` and ``emails co "…"``."""
    if not place.name:
        raise invalid_filter("An extension is not compared; its attributes are.")
    attribute = place.attribute
    if attribute is None or place.part or attribute.type != "complex":
        return place
    value = attribute.sub_attribute("value")
    if value is None:
        raise invalid_filter(f"{attribute.name} has no value of its own; its parts are compared.")
    return Place(place.extension, place.name, value.name, attribute, value)


def _null_predicate(op: str, is_present: _Predicate) -> _Predicate:
    """``eq null`` asks for what is absent, ``ne null`` for what is there."""
    match op:
        case "eq":
            return lambda resource: not is_present(resource)
        case "ne":
            return is_present
        case _:
            raise invalid_filter("null is compared by eq and ne only.")


def _presence(place: Place | None) -> _Predicate:
    if place is None:
        return _never
    return lambda resource: any(value not in ("", [], {}) for value in place.values(resource))


def _joined(op: LogicalOperator, terms: list[_Predicate]) -> _Predicate:
    if op is LogicalOperator.and_:
        return lambda resource: all(term(resource) for term in terms)
    return lambda resource: any(term(resource) for term in terms)


def _always(_: _Resource) -> bool:
    return True


def _never(_: _Resource) -> bool:
    return False
