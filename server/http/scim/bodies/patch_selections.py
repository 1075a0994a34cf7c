"""The filter in a PATCH path, as in ``emails[type eq "work"]``: which entries it selects, and which it would make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from scim2_models.path import CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator, Not, Present

from server.http.scim.attributes import Attribute
from server.http.scim.bodies import values
from server.http.scim.errors import ScimError

Entry: TypeAlias = Mapping[str, Any]
Test: TypeAlias = Callable[[Entry], bool]


@dataclass(frozen=True, slots=True)
class Selection:
    """Selects entries of a multi-valued attribute.

    ``pattern`` has the parts of an entry that the filter describes whole, as ``type eq "work"`` does; it is None for a
    filter that is anything else than such comparisons joined by ``and``, which describes no entry.
    """

    matches: Test
    pattern: Mapping[str, str | bool] | None


def selection(attribute: Attribute, node: FilterNode) -> Selection:
    """Read the filter of an attribute's entries.

    Raises:
        ScimError: 400 invalidFilter for an unknown part or a comparison that does not fit it.
    """
    return Selection(_test(attribute, node), _pattern(attribute, node))


def _test(attribute: Attribute, node: FilterNode) -> Test:
    match node:
        case Comparison():
            return _comparison(attribute, node)
        case Present(attr_path=path):
            name = _part(attribute, str(path)).name
            return lambda entry: name in entry
        case Not(expr=inner):
            negated = _test(attribute, inner)
            return lambda entry: not negated(entry)
        case LogicalExpr(op=operator, terms=terms):
            tests = [_test(attribute, term) for term in terms]
            joined = all if operator is LogicalOperator.and_ else any
            return lambda entry: joined(test(entry) for test in tests)
        case _:
            raise ScimError(400, f"{attribute.name}: this filter is not supported", "invalidFilter")


def _comparison(attribute: Attribute, node: Comparison) -> Test:
    """Give the test of one comparison: without regard to case unless the part is exact about it."""
    part = _part(attribute, str(node.attr_path))
    literal = _literal(attribute, part, node)
    name, exact = part.name, part.case_exact
    match node.op:
        case CompareOperator.eq:
            return lambda entry: folded(entry.get(name), exact=exact) == literal
        case CompareOperator.ne:
            return lambda entry: folded(entry.get(name), exact=exact) != literal
        case CompareOperator.co if isinstance(literal, str):
            return lambda entry: literal in _text(entry, name, exact=exact)
        case CompareOperator.sw if isinstance(literal, str):
            return lambda entry: _text(entry, name, exact=exact).startswith(literal)
        case CompareOperator.ew if isinstance(literal, str):
            return lambda entry: _text(entry, name, exact=exact).endswith(literal)
        case _:
            raise ScimError(400, f"{attribute.name}.{name}: this comparison is not supported", "invalidFilter")


def folded(value: Any, *, exact: bool) -> Any:
    """Give what a value is compared by."""
    return value if exact or not isinstance(value, str) else value.casefold()


def _text(entry: Entry, name: str, *, exact: bool) -> str:
    value = entry.get(name)
    return folded(value, exact=exact) if isinstance(value, str) else ""


def _literal(attribute: Attribute, part: Attribute, node: Comparison) -> Any:
    """Read what a part is compared with, by the rules of its values: Entra writes ``primary eq "True"``."""
    try:
        return folded(values.simple(part, node.value, part.name), exact=part.case_exact)
    except ScimError as error:
        raise ScimError(400, f"{attribute.name}: {error.detail}", "invalidFilter") from None


def _part(attribute: Attribute, name: str) -> Attribute:
    part = attribute.sub_attribute(name)
    if part is None:
        raise ScimError(400, f"{attribute.name}: the filter names a part that it does not have", "invalidFilter")
    return part


def _pattern(attribute: Attribute, node: FilterNode) -> Mapping[str, str | bool] | None:
    match node:
        case Comparison(op=CompareOperator.eq, value=value, attr_path=path):
            part = _part(attribute, str(path))
            kept = values.simple(part, value, part.name)
            return None if kept is None else {part.name: kept}
        case LogicalExpr(op=LogicalOperator.and_, terms=terms):
            pattern: dict[str, str | bool] = {}
            for term in terms:
                described = _pattern(attribute, term)
                if described is None or described.keys() & pattern.keys():
                    return None
                pattern |= described
            return pattern
        case _:
            return None
