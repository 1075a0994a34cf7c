"""Filters against a second reading of the RFC, on made-up filters and users."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from server.http.scim.attributes import ENTERPRISE, USER, Kind
from server.http.scim.errors import ScimError
from server.http.scim.queries.filters import Filter, parse
from tests.support.examples import examples

# name in a filter -> (where it is in a resource, what it is compared as)
ATTRIBUTES: dict[str, tuple[tuple[str, ...], str]] = {
    "userName": (("userName",), "text"),
    f"{USER}:userName": (("userName",), "text"),
    "id": (("id",), "exact"),
    "externalId": (("externalId",), "exact"),
    "name.familyName": (("name", "familyName"), "text"),
    "displayName": (("displayName",), "text"),
    "active": (("active",), "boolean"),
    "emails": (("emails", "value"), "text"),
    "emails.value": (("emails", "value"), "text"),
    "emails.type": (("emails", "type"), "text"),
    "emails.primary": (("emails", "primary"), "boolean"),
    "department": ((ENTERPRISE, "department"), "text"),
    f"{ENTERPRISE}:department": ((ENTERPRISE, "department"), "text"),
    "manager": ((ENTERPRISE, "manager", "value"), "exact"),
    "meta.created": (("meta", "created"), "time"),
    "nonsense": (("nonsense",), "text"),
    "emails.nonsense": (("emails", "nonsense"), "text"),
}
PARTS = {"value": "text", "type": "text", "primary": "boolean", "nonsense": "text"}
TIMES = ["2024-05-13T04:42:34.120Z", "2024-05-13T06:42:34.120+02:00", "2024-05-13T04:42:34Z", "2025-01-01T00:00:00Z"]
OPERATORS = {"boolean": ["eq", "ne"], "time": ["eq", "ne", "gt", "ge", "lt", "le"]}
TEXT_OPERATORS = ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"]

texts = st.one_of(st.sampled_from(["a", "A", "ab", "AB", "ß", "SS", 'a"b', "a\\b", ".*", "(", " or ", "é", "work"]))
values = {
    "text": texts,
    "exact": texts,
    "boolean": st.booleans(),
    "time": st.sampled_from(TIMES),
}


def users() -> st.SearchStrategy[dict[str, Any]]:
    """Rendered users, in which nothing is null or empty."""
    email = st.fixed_dictionaries({}, optional={"value": texts, "type": texts, "primary": st.booleans()}).filter(bool)
    enterprise = st.fixed_dictionaries(
        {}, optional={"department": texts, "manager": st.fixed_dictionaries({"value": texts})}
    ).filter(bool)
    return st.fixed_dictionaries(
        {"id": texts, "userName": texts, "meta": st.fixed_dictionaries({"created": st.sampled_from(TIMES)})},
        optional={
            "externalId": texts,
            "active": st.booleans(),
            "displayName": texts,
            "name": st.fixed_dictionaries({"familyName": texts}),
            "emails": st.lists(email, min_size=1, max_size=3),
            ENTERPRISE: enterprise,
        },
    )


def comparisons(names: dict[str, str]) -> st.SearchStrategy[tuple[Any, ...]]:
    """Comparisons of these attributes: name -> what it is compared as."""

    def of(name: str) -> st.SearchStrategy[tuple[Any, ...]]:
        kind = names[name]
        with_value = st.tuples(
            st.just("compare"), st.just(name), st.sampled_from(OPERATORS.get(kind, TEXT_OPERATORS)), values[kind]
        )
        with_null = st.tuples(st.just("compare"), st.just(name), st.sampled_from(["eq", "ne"]), st.none())
        return st.one_of(with_value, with_value, with_null, st.tuples(st.just("present"), st.just(name)))

    return st.sampled_from(sorted(names)).flatmap(of)


def combined(leaves: st.SearchStrategy[tuple[Any, ...]], size: int) -> st.SearchStrategy[tuple[Any, ...]]:
    def grown(inner: st.SearchStrategy[tuple[Any, ...]]) -> st.SearchStrategy[tuple[Any, ...]]:
        several = st.lists(inner, min_size=2, max_size=3).map(tuple)
        return st.one_of(st.tuples(st.sampled_from(["and", "or"]), several), st.tuples(st.just("not"), inner))

    return st.recursive(leaves, grown, max_leaves=size)


inside = combined(comparisons(PARTS), 3)
selections = st.one_of(
    st.tuples(st.just("entry"), st.just("emails"), inside),
    st.tuples(st.just("entry_value"), st.just("emails"), inside, comparisons(PARTS)),
)
trees = combined(st.one_of(comparisons({name: kind for name, (_, kind) in ATTRIBUTES.items()}), selections), 6)


def written(tree: tuple[Any, ...], case: Callable[[str], str]) -> str:
    """Write the filter down; ``case`` spells names and words."""
    match tree:
        case ("compare", name, operator, value):
            return f"{case(name)} {case(operator)} {json.dumps(value)}"
        case ("present", name):
            return f"{case(name)} {case('pr')}"
        case ("not", inner):
            return f"{case('not')} ({written(inner, case)})"
        case ("entry", name, inner):
            return f"{case(name)}[{written(inner, case)}]"
        case ("entry_value", name, inner, last):
            return f"{case(name)}[{written(inner, case)}].{written(last, case)}"
        case (word, terms):
            return f" {case(word)} ".join(f"({written(term, case)})" for term in terms)
    raise AssertionError(tree)


def found(holder: Any, path: tuple[str, ...]) -> list[Any]:
    """Every value at the end of a path."""
    if isinstance(holder, list):
        return [value for entry in holder for value in found(entry, path)]
    if not path:
        return [holder]
    return found(holder[path[0]], path[1:]) if path[0] in holder else []


AGREES: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "co": lambda left, right: right in left,
    "sw": lambda left, right: left[: len(right)] == right,
    "ew": lambda left, right: left[::-1][: len(right)] == right[::-1],
    "gt": lambda left, right: left > right,
    "ge": lambda left, right: not left < right,
    "lt": lambda left, right: left < right,
    "le": lambda left, right: not left > right,
}
AS: dict[str, Callable[[Any], Any]] = {
    "text": str.casefold,
    "exact": str,
    "boolean": bool,
    "time": datetime.fromisoformat,
}


Names = dict[str, tuple[tuple[str, ...], str]]


def expected(tree: tuple[Any, ...], resource: dict[str, Any], names: Names) -> bool:
    """What the RFC says, read anew."""
    match tree:
        case ("not", inner):
            return not expected(inner, resource, names)
        case ("and", terms):
            return all(expected(term, resource, names) for term in terms)
        case ("or", terms):
            return any(expected(term, resource, names) for term in terms)
    return expected_term(tree, resource, names)


def expected_term(tree: tuple[Any, ...], resource: dict[str, Any], names: Names) -> bool:
    match tree:
        case ("present", name):
            # whole attributes are asked for by their first path segment; all here have something in them
            return bool(found(resource, ("emails",) if name == "emails" else names[name][0]))
        case ("compare", name, operator, None):
            return expected(("present", name), resource, names) is (operator == "ne")
        case ("compare", name, operator, value):
            path, kind = names[name]
            there = found(resource, path)
            if not there:
                return bool(operator == "ne")
            return any(AGREES[operator](AS[kind](each), AS[kind](value)) for each in there)
        case ("entry", name, inner):
            parts = {part: ((part,), kind) for part, kind in PARTS.items()}
            return any(expected(inner, entry, parts) for entry in resource.get(name, []))
        case ("entry_value", name, inner, last):
            return expected(("entry", name, ("and", (inner, last))), resource, names)
    raise AssertionError(tree)


def known(tree: tuple[Any, ...]) -> bool:
    """Whether the tree names an attribute that users have."""
    match tree:
        case ("compare" | "present", name, *_):
            return "nonsense" not in name
        case ("not", inner):
            return known(inner)
        case ("and" | "or", terms):
            return any(known(term) for term in terms)
    return True


@examples(150)
@given(trees.filter(known), st.lists(users(), min_size=1, max_size=4), st.sampled_from([str, str.lower, str.swapcase]))
def test_matches_as_the_rfc_says(
    tree: tuple[Any, ...], resources: list[dict[str, Any]], case: Callable[[str], str]
) -> None:
    """On any filter and user, matches() agrees with an evaluator that shares nothing with it."""
    filter_ = parse(written(tree, case), Kind.USER)

    for resource in resources:
        assert filter_.matches(resource) is expected(tree, resource, ATTRIBUTES)


INDEXED: dict[str, tuple[tuple[str, ...], bool]] = {
    "id": (("id",), True),
    "userName": (("userName",), False),
    "externalId": (("externalId",), True),
    "email": (("emails", "value"), False),
    "displayName": (("displayName",), False),
    "manager": ((ENTERPRISE, "manager", "value"), True),
}


def holds(filter_: Filter, resource: dict[str, Any]) -> list[bool]:
    """For each look-up, whether an index would find the resource by it."""
    answers = []
    for lookup in filter_.lookups:
        path, exact = INDEXED[lookup.attribute]
        fold: Callable[[str], str] = str if exact else str.casefold
        answers.append(fold(lookup.value) in {fold(value) for value in found(resource, path)})
    return answers


equalities = comparisons({name: kind for name, (_, kind) in ATTRIBUTES.items() if kind in {"text", "exact"}})
conjunctions = st.lists(st.one_of(equalities, equalities, selections), min_size=1, max_size=3).map(
    lambda terms: terms[0] if len(terms) == 1 else ("and", tuple(terms))
)


@examples(150)
@given(conjunctions.filter(known), st.lists(users(), min_size=1, max_size=4))
def test_lookups_are_sound(tree: tuple[Any, ...], resources: list[dict[str, Any]]) -> None:
    """Whatever matches is found by every look-up; and where these are all there is, whatever they find matches."""
    filter_ = parse(written(tree, str), Kind.USER)

    for resource in resources:
        if filter_.matches(resource):
            assert all(holds(filter_, resource))
        elif filter_.is_only_lookups:
            assert not all(holds(filter_, resource))


WORDS = (
    f"userName emails active manager meta.created {ENTERPRISE} {ENTERPRISE}:manager x urn:a:b:c eq ne co gt pr and or"
)
VALUES = r'"x" 0 true null -1.5e3 1e999 "\u0000" "\ud800" .value not'
PIECES = st.sampled_from([*WORDS.split(), *VALUES.split(), *"()[].\"'\\\0\u2028\ud800😀*% "])
ODD_TEXTS = st.one_of(
    st.text(max_size=40), st.lists(PIECES, max_size=14).map(" ".join), st.lists(PIECES, max_size=9).map("".join)
)


@examples(400)
@given(ODD_TEXTS)
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    """Nothing but a filter or invalidFilter comes of any text, and a filter answers for every user."""
    answer: object
    try:
        answer = parse(text, Kind.USER).matches({"id": "1", "userName": "x", "emails": [{"value": "x"}]})
    except ScimError as error:
        answer = error.status, error.scim_type

    assert answer in {True, False, (400, "invalidFilter")}
