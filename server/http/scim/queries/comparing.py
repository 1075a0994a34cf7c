"""How one value of an attribute compares with the value in a filter: RFC 7644 section 3.4.2.2, table 3."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from server.http.scim.attributes import Attribute
from server.http.scim.queries.filter_text import Literal, invalid_filter

Check = Callable[[object], bool]
"""Whether one value that a resource has agrees with what the filter says."""

_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {"eq": operator.eq, "gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le}
)
_TEXTS: Mapping[str, Callable[[str, str], bool]] = MappingProxyType(
    {
        "eq": operator.eq,
        "co": operator.contains,
        "sw": str.startswith,
        "ew": str.endswith,
        "gt": operator.gt,
        "ge": operator.ge,
        "lt": operator.lt,
        "le": operator.le,
    }
)
_TRUTHS = MappingProxyType({"true": True, "false": False})


def check_of(attribute: Attribute | None, op: str, literal: Literal) -> Check:
    """Give the check of a comparison with any operator but ``ne``; the literal is not null.

    None as attribute stands for what an unknown extension holds, which may be any JSON. Raises ScimError
    (invalidFilter) if attributes of this type are not compared in this way or with such a value.
    """
    if attribute is None:
        return _any_check(op, literal)
    match attribute.type:
        case "boolean":
            return _truth_check(attribute, op, literal)
        case "dateTime":
            return _time_check(attribute, op, literal)
        case _:
            return _text_check(op, literal.text, exact=attribute.case_exact)


def _text_check(op: str, text: str, *, exact: bool) -> Check:
    """Compare texts; without their case unless the attribute is caseExact. Numbers are the texts they are written as.

    The folding is the one that the indexes of addresses and of groups' names are made with.
    """
    compare = _TEXTS[op]
    if exact:
        return lambda value: isinstance(value, str) and compare(value, text)
    folded = text.casefold()
    return lambda value: isinstance(value, str) and compare(value.casefold(), folded)


def _truth_check(attribute: Attribute, op: str, literal: Literal) -> Check:
    """Compare booleans, also with the strings "True" and "False", which Entra sends."""
    wanted = _TRUTHS.get(literal.text.lower())
    if op != "eq" or wanted is None:
        raise invalid_filter(f"{attribute.name} is true or false, and is compared by eq and ne only.")
    return lambda value: value is wanted


def _time_check(attribute: Attribute, op: str, literal: Literal) -> Check:
    """Compare points in time, whatever offset from UTC each is written with."""
    if op not in _ORDERS:
        return _text_check(op, literal.text, exact=True)
    wanted = _time(literal.text)
    if wanted is None:
        raise invalid_filter(f"{attribute.name} is compared with a date and time such as 2024-05-13T04:42:34Z.")
    compare = _ORDERS[op]
    return lambda value: (time := _time(value)) is not None and compare(time, wanted)


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _any_check(op: str, literal: Literal) -> Check:
    """Compare with whatever is there: texts with texts, numbers with numbers, booleans with booleans."""
    text_check = _text_check(op, literal.text, exact=False)
    truth = _TRUTHS.get(literal.text.lower())
    number = None if literal.quoted else _number(literal.text)
    compare = _ORDERS.get(op)

    def check(value: object) -> bool:
        if isinstance(value, bool):
            return op == "eq" and value is truth
        if isinstance(value, int | float):
            return compare is not None and number is not None and compare(value, number)
        return text_check(value)

    return check


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
