"""From a client's value to a kept one: each kind of value has one function here, for whole resources and for PATCH."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from server.http.scim.attributes import Attribute
from server.http.scim.errors import ScimError

MAX_STRING = 1024  # characters
MAX_LONG_STRING = 4096  # of an address, a formatted name and a URL
MAX_ENTRIES = 200  # of one multi-valued attribute
MAX_DEPTH = 16  # of an unknown extension, which is the first level
MAX_LIST = 1000  # values of a list in an unknown extension
MAX_MEMBERS = 500  # of an object in an unknown extension
MAX_DOCUMENT = 64 * 1024  # bytes as JSON
MAX_INTEGER_BITS = 256
MAX_IGNORED = 50
MAX_IGNORED_NAME = 128

COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
MULTI_LINE = frozenset({"formatted", "streetAddress"})
PASSWORD = re.compile(r"(?:^|[.:])\s*password\s*(?:$|[.\[])", re.IGNORECASE)
NEVER_TEXT = re.compile("[\x00\ud800-\udfff]")  # neither PostgreSQL nor UTF-8 takes these
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
CONTROL_BUT_LINES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class Ignored:
    """The names of what was not taken from a request, each once; for the log, so it is bounded."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def add(self, name: str) -> None:
        """Remember a name; a secret's value must not be in it."""
        if len(self._names) < MAX_IGNORED:
            self._names[CONTROL.sub("?", name[:MAX_IGNORED_NAME])] = None

    def names(self) -> tuple[str, ...]:
        """Give the names in the order of the request."""
        return tuple(self._names)


def invalid(name: str, why: str) -> ScimError:
    """Make the refusal of a value; the detail names the attribute and not the value."""
    return ScimError(400, f"{name}: {why}", "invalidValue")


def is_password(name: str) -> bool:
    """Whether a key of this name may hold a password: in any case, led by a URN, and as a part or with parts."""
    return PASSWORD.search(name) is not None


def boolean(value: object, name: str) -> bool:
    """Read a boolean: true and false, and the words that Entra sends for them in any case. Nothing else is one."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        match value.lower():
            case "true":
                return True
            case "false":
                return False
            case _:
                pass
    raise invalid(name, "is neither true nor false")


def string(value: object, name: str, *, longest: int = MAX_STRING, lines: bool = False) -> str:
    """Read a string as it was sent; a whole number becomes its digits. Control characters are refused."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= MAX_INTEGER_BITS:
        return str(value)
    if not isinstance(value, str):
        raise invalid(name, "is not a string")
    if len(value) > longest:
        raise invalid(name, f"has more than {longest} characters")
    if not value.isprintable() and (CONTROL_BUT_LINES if lines else CONTROL).search(value):
        raise invalid(name, "has a control character or half of a surrogate pair")
    return value


def simple(attribute: Attribute, value: object, name: str) -> str | bool | None:
    """Read the value of an attribute that is not complex; None if it is unassigned, as null and the empty string are.

    The empty string is no boolean and is refused for one.
    """
    if value is None:
        return None
    if attribute.type == "boolean":
        return boolean(value, name)
    if isinstance(value, str) and len(value) <= MAX_STRING and value.isprintable():  # nearly always
        return value or None
    lines = attribute.name in MULTI_LINE
    longest = MAX_LONG_STRING if lines or attribute.type == "reference" else MAX_STRING
    return string(value, name, longest=longest, lines=lines) or None


def parts(attribute: Attribute, value: object, ignored: Ignored) -> dict[str, str | bool | None]:
    """Read one complex value: its parts in their own spelling, None for one that is said to be unassigned.

    A text stands for ``{"value": text}`` where the attribute has such a part. Unknown parts are ignored.
    """
    if isinstance(value, (str, int)) and not isinstance(value, bool) and "value" in attribute.sub_attributes:
        value = {"value": value}
    if not isinstance(value, dict):
        raise invalid(attribute.name, "is not an object")
    found: dict[str, str | bool | None] = {}
    for key, given in value.items():
        part = attribute.sub_attribute("value" if is_manager_id(key, attribute) else key)
        if part is None:
            refuse_deletion(key, attribute)
            if key != "$ref" and given is not None:
                ignored.add(f"{attribute.name}.{key}")
            continue
        if part.name in found:
            raise invalid(attribute.name, f"has {part.name} twice")
        found[part.name] = simple(part, given, f"{attribute.name}.{part.name}")
    return found


def is_manager_id(key: str, attribute: Attribute) -> bool:
    """Whether this is SCIM 1.1's name of a manager's id, which OneLogin's templates have."""
    return attribute.name == "manager" and key.lower() == "managerid"


def refuse_deletion(key: str, attribute: Attribute) -> None:
    """Refuse SCIM 1.1's ``"operation": "delete"`` in a value: to ignore it would keep what was to go."""
    if key.lower() == "operation":
        raise invalid(attribute.name, "'operation' in a value is SCIM 1.1 and not supported")


def single_complex(attribute: Attribute, value: object, ignored: Ignored) -> dict[str, str | bool | None] | None:
    """Read a complex value of which there is one; None if it is unassigned.

    A list of one value stands for that value, since Entra sends a manager like that.
    """
    if isinstance(value, list) and "value" in attribute.sub_attributes:
        if len(value) > 1:
            raise invalid(attribute.name, "has more than one value")
        value = value[0] if value else None
    return None if value is None else parts(attribute, value, ignored)


def entries(attribute: Attribute, value: object, ignored: Ignored) -> list[dict[str, Any]]:
    """Read a multi-valued attribute: each entry with the parts that are assigned. A single value is a list of one."""
    given = value if isinstance(value, list) else [value]
    if len(given) > MAX_ENTRIES:
        raise invalid(attribute.name, f"has more than {MAX_ENTRIES} values")
    read = [assigned(parts(attribute, each, ignored)) for each in given if each is not None]
    found = [entry for entry in read if entry]
    if sum(each.get("primary") is True for each in found) > 1:
        raise invalid(attribute.name, "has more than one primary value")
    return found


def assigned(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is unassigned."""
    return {name: value for name, value in values.items() if value is not None}


def whole(attribute: Attribute, value: object, ignored: Ignored) -> Any:
    """Read an attribute's whole value, of any kind; None if it is unassigned."""
    if attribute.multi_valued:
        return entries(attribute, value, ignored) or None
    if attribute.type == "complex":
        return assigned(single_complex(attribute, value, ignored) or {}) or None
    return simple(attribute, value, attribute.name)


def verbatim(value: object, name: str, ignored: Ignored, *, depth: int = 1) -> Any:
    """Copy a value of an unknown extension; None if nothing is left of it.

    It is kept as it was sent, but for nulls, empty lists and objects, and keys named like a password.
    """
    if depth > MAX_DEPTH:
        raise invalid(name, f"is nested more than {MAX_DEPTH} deep")
    match value:
        case None | bool():
            return value
        case str():
            return text(value, name)
        case int() if value.bit_length() <= MAX_INTEGER_BITS:
            return value
        case float() if math.isfinite(value):
            return value
        case list() if len(value) <= MAX_LIST:
            copies = (verbatim(each, name, ignored, depth=depth + 1) for each in value)
            return [copy for copy in copies if copy is not None] or None
        case dict() if len(value) <= MAX_MEMBERS:
            return _verbatim_object(value, name, ignored, depth) or None
        case _:
            raise invalid(name, "has a value that is too large or no JSON")


def _verbatim_object(value: Mapping[str, Any], name: str, ignored: Ignored, depth: int) -> dict[str, Any]:
    kept = {}
    for key, each in value.items():
        if is_password(key):
            ignored.add("password")
        elif (copy := verbatim(each, name, ignored, depth=depth + 1)) is not None:
            kept[text(key, name)] = copy
    return kept


def text(value: str, name: str) -> str:
    """Give a text of an unknown extension; refuses what could not be stored or sent back."""
    if NEVER_TEXT.search(value):
        raise invalid(name, "has a NUL or half of a surrogate pair")
    return value


def check_size(document: Mapping[str, Any]) -> None:
    """Refuse a document that is too large to keep."""
    if len(COMPACT.encode(document).encode()) > MAX_DOCUMENT:
        raise ScimError(400, f"the resource has more than {MAX_DOCUMENT} bytes", "invalidValue")
