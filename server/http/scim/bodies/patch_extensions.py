"""PATCH of extensions that nobody here knows: their attributes are kept as they were sent."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from server.http.scim.bodies import values
from server.http.scim.bodies.documents import EXTENSION_ATTRIBUTE, EXTENSION_URN, Document, existing_key
from server.http.scim.bodies.patch_operations import MISSING, Value, Verb
from server.http.scim.bodies.values import Ignored
from server.http.scim.errors import ScimError

SCHEMA_URN = re.compile(r".*:[0-9]+(\.[0-9]+)+:[A-Za-z][A-Za-z0-9_-]*")
"""How a schema's URN ends by custom: with its version and the type of resource."""

ATTRIBUTE_LEVEL = 2  # in an extension that is the first level
PART_LEVEL = 3


@dataclass(frozen=True, slots=True)
class ExtensionPlace:
    """An extension, or one attribute of it, or one part of that; the URN is spelled as in the document."""

    urn: str
    attribute: str | None = None
    part: str | None = None


def place_in(document: Document, path: str) -> ExtensionPlace:
    """Say what a path into an unknown extension points at.

    What the document has decides. If it has nothing of it, a path that ends as schemas' URNs do is one, and of any
    other the last colon leads the attribute.

    Raises:
        ScimError: 400 invalidPath if no attribute's name is where one must be.
    """
    if (whole := existing_key(document, path)) is not None:
        return ExtensionPlace(whole)
    urn, _, rest = path.rpartition(":")
    known = existing_key(document, urn)
    if known is None and SCHEMA_URN.fullmatch(path):
        return ExtensionPlace(path)
    attribute, dot, part = rest.partition(".")
    names = (attribute, part) if dot else (attribute,)
    if not EXTENSION_URN.fullmatch(urn) or not all(EXTENSION_ATTRIBUTE.fullmatch(name) for name in names):
        raise ScimError(400, "this is no path into an extension", "invalidPath")
    return ExtensionPlace(known or urn, attribute, part or None)


def change(document: Document, path: str, verb: Verb, value: Value, ignored: Ignored) -> None:
    """Add, replace or remove what the path points at; what becomes empty is left to be tidied."""
    place = place_in(document, path)
    if place.attribute is None:
        _change_whole(document, place.urn, verb, value, ignored)
        return
    container = document.setdefault(place.urn, {})
    key = existing_key(container, place.attribute) or place.attribute
    if place.part is None:
        _change_member(container, key, place.urn, verb, _kept(place, value, ignored, ATTRIBUTE_LEVEL))
        return
    kept = _kept(place, value, ignored, PART_LEVEL)
    if verb is Verb.REMOVE and key not in container:
        return
    inner = container.setdefault(key, {})
    if not isinstance(inner, dict):
        raise ScimError(400, "the attribute of the extension has no parts", "invalidPath")
    _change_member(inner, existing_key(inner, place.part) or place.part, place.urn, verb, kept)
    if not inner:
        del container[key]


def _change_whole(document: Document, urn: str, verb: Verb, value: Value, ignored: Ignored) -> None:
    if verb is Verb.REMOVE or value is None:
        if verb is not Verb.ADD:
            document.pop(urn, None)
        return
    if not isinstance(value, dict):
        raise values.invalid(urn, "is not an object")
    container = document.setdefault(urn, {})
    spelled = {key.lower(): key for key in container}
    for name, each in value.items():
        if values.is_password(name):
            ignored.add("password")
            continue
        key = spelled.setdefault(name.lower(), values.text(name, urn))
        _change_member(container, key, urn, verb, values.verbatim(each, urn, ignored, depth=ATTRIBUTE_LEVEL))


def _kept(place: ExtensionPlace, value: Value, ignored: Ignored, depth: int) -> Any:
    return None if value is MISSING else values.verbatim(value, place.urn, ignored, depth=depth)


def _change_member(container: dict[str, Any], key: str, urn: str, verb: Verb, value: Any) -> None:
    """Set or remove one member; None is no value. A list gets what is added to it, each value once."""
    present = container.get(key)
    if isinstance(present, list) and value is not None and verb is not Verb.REPLACE:
        value = _changed_list(present, verb, value if isinstance(value, list) else [value])
    elif verb is Verb.REMOVE:
        value = None
    if value is None or value == []:
        container.pop(key, None)
        return
    container[key] = value
    if len(container) > values.MAX_MEMBERS or (isinstance(value, list) and len(value) > values.MAX_LIST):
        raise values.invalid(urn, "has too many values")


def _changed_list(present: list[Any], verb: Verb, given: list[Any]) -> list[Any]:
    """Add values to a list, or take them out of it; equal is what is the same JSON."""
    if verb is Verb.REMOVE:
        gone = {_as_json(each) for each in given}
        return [each for each in present if _as_json(each) not in gone]
    return list({_as_json(each): each for each in (*present, *given)}.values())


def _as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
