"""From the body of a POST or a PUT to a document: a user as it is kept, whatever the identity provider sent.

A document has its attributes in their own spelling and in one order, so that two ways to say the same make the same
text. It has ``userName`` and ``active``, and no null, no empty value, no password, and nothing that the server assigns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from server.http.scim.attributes import COMMON, CORE, ENTERPRISE, ENTERPRISE_SCHEMA, Attribute, Kind, Schema, split_urn
from server.http.scim.bodies import values
from server.http.scim.bodies.values import Ignored
from server.http.scim.errors import ScimError

Document: TypeAlias = dict[str, Any]

USER_SCHEMA = CORE[Kind.USER]
USER_ATTRIBUTES: Mapping[str, Attribute] = MappingProxyType(
    {
        "externalid": COMMON["externalid"],
        **{name: attribute for name, attribute in USER_SCHEMA.attributes.items() if not attribute.is_read_only},
    }
)
"""What stands at the top of a user's document, by names in lower case."""

EXTENSION_URN = re.compile(r"urn:[A-Za-z0-9][A-Za-z0-9-]{0,31}:[A-Za-z0-9._:-]{1,200}", re.IGNORECASE)
EXTENSION_ATTRIBUTE = re.compile(r"\$?[A-Za-z][A-Za-z0-9$_-]{0,127}")
MAX_ATTRIBUTES = 100  # and extensions of one resource
LABELS = frozenset({"type", "primary", "display"})  # these only say something of a value


def user_document(body: object) -> tuple[Document, tuple[str, ...]]:
    """Read the body of a POST: the document, and the names of what was ignored.

    Raises:
        ScimError: 400 invalidSyntax or invalidValue.
    """
    ignored = Ignored()
    document = _read_user(body, ignored)
    document.setdefault("active", True)
    return finished_user(document), ignored.names()


def replaced_user(present: Document, body: object) -> tuple[Document, tuple[str, ...]]:
    """Read the body of a PUT, which replaces the whole user but for ``active`` if the body does not say it.

    A client that says nothing of ``active`` (Okta when it updates a profile) neither ends nor revives a user.
    """
    ignored = Ignored()
    document = _read_user(body, ignored)
    document.setdefault("active", present.get("active") is True)
    return finished_user(document), ignored.names()


def finished_user(document: Mapping[str, Any]) -> Document:
    """Give the document in its one order and without what is empty; refuses one that cannot be a user.

    A value that only has a type or a mark is empty: it is what stays when its value is removed.
    """
    user_name = document.get("userName")
    if not isinstance(user_name, str) or not user_name:
        raise values.invalid("userName", "is required")
    if user_name != user_name.strip():
        raise values.invalid("userName", "begins or ends with white space")
    finished = _in_order(USER_ATTRIBUTES, document)
    if not isinstance(finished.get("active"), bool):
        raise values.invalid("active", "is required")
    if enterprise := _in_order(ENTERPRISE_SCHEMA.attributes, document.get(ENTERPRISE, {})):
        finished[ENTERPRISE] = enterprise
    for urn in sorted(document):
        if urn not in finished and urn != ENTERPRISE and urn[:4].lower() == "urn:" and document[urn]:
            finished[urn] = document[urn]
    if len(finished) > MAX_ATTRIBUTES:
        raise ScimError(400, f"more than {MAX_ATTRIBUTES} attributes and extensions", "invalidValue")
    values.check_size(finished)
    return finished


def _in_order(attributes: Mapping[str, Attribute], container: Mapping[str, Any]) -> Document:
    """Give what is assigned of these attributes, in the order of the schema."""
    found: Document = {}
    for attribute in attributes.values():
        value = container.get(attribute.name)
        if value is None:
            continue
        if attribute.multi_valued:
            value = _tidied(attribute, value)
        elif attribute.type == "complex":
            value = _parts_in_order(attribute, value)
        if value is not None and value not in ([], {}):
            found[attribute.name] = value
    return found


def _tidied(attribute: Attribute, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drop entries that say nothing and repetitions."""
    tidied: list[dict[str, Any]] = []
    for entry in entries:
        if entry.keys() <= LABELS:
            continue
        ordered = _parts_in_order(attribute, entry)
        if ordered not in tidied:
            tidied.append(ordered)
    if len(tidied) > values.MAX_ENTRIES:
        raise values.invalid(attribute.name, f"has more than {values.MAX_ENTRIES} values")
    if sum(entry.get("primary") is True for entry in tidied) > 1:
        raise values.invalid(attribute.name, "has more than one primary value")
    return tidied


def _parts_in_order(attribute: Attribute, entry: Mapping[str, Any]) -> dict[str, Any]:
    return {part.name: entry[part.name] for part in attribute.sub_attributes.values() if part.name in entry}


def _read_user(body: object, ignored: Ignored) -> Document:
    """Read a whole resource into a document that is not finished yet."""
    if not isinstance(body, dict):
        raise ScimError(400, "the body is not a JSON object", "invalidSyntax")
    document: Document = {}
    misplaced: Document = {}
    for key, value in body.items():
        lower = key.lower()
        if lower == "schemas" or value is None:
            continue
        if (attribute := USER_ATTRIBUTES.get(lower)) is not None:
            _put(document, attribute, value, ignored)
        elif (attribute := ENTERPRISE_SCHEMA.attributes.get(lower)) is not None:
            _put(misplaced, attribute, value, ignored)
        elif lower.startswith("urn:"):
            _read_extension(document, key, value, ignored)
        else:
            ignored.add("password" if values.is_password(key) else key)
    if misplaced:  # Entra's sample has them at the top; what stands in its right place wins
        document[ENTERPRISE] = misplaced | document.get(ENTERPRISE, {})
    return document


def _read_extension(document: Document, key: str, value: object, ignored: Ignored) -> None:
    """Read what stands below a URN, or one attribute that a URN leads."""
    schema, rest = split_urn(key)
    if schema is None:
        _read_unknown(document, key, value, ignored)
        return
    if schema is not ENTERPRISE_SCHEMA:
        raise ScimError(400, "attributes of the core schema stand at the top of a resource", "invalidSyntax")
    if rest:
        value = {rest: value}
    if not isinstance(value, dict):
        raise values.invalid(ENTERPRISE, "is not an object")
    extension = document.setdefault(ENTERPRISE, {})
    for name, each in value.items():
        attribute = schema.attribute(name)
        if attribute is not None:
            _put(extension, attribute, each, ignored)
        elif each is not None:
            ignored.add("password" if values.is_password(name) else unknown_name(schema, name))


def _read_unknown(document: Document, key: str, value: object, ignored: Ignored) -> None:
    """Keep an extension that nobody here knows as it was sent."""
    if values.is_password(key):
        ignored.add("password")
        return
    if not EXTENSION_URN.fullmatch(key):
        ignored.add(key)
        return
    urn = key
    if not isinstance(value, dict):  # one attribute, led by its URN
        urn, _, name = key.rpartition(":")
        if not EXTENSION_URN.fullmatch(urn) or not EXTENSION_ATTRIBUTE.fullmatch(name):
            raise values.invalid(key, "is not an object")
        value = {name: value}
    known = existing_key(document, urn)
    if known is not None and document[known].keys() & value.keys():
        raise values.invalid(urn, "is given twice")
    if kept := values.verbatim(value, urn, ignored):
        document.setdefault(known or urn, {}).update(kept)
    if len(document) > MAX_ATTRIBUTES:
        raise ScimError(400, f"more than {MAX_ATTRIBUTES} attributes and extensions", "invalidValue")


def existing_key(container: Mapping[str, Any], name: str) -> str | None:
    """Find the key that is this name in any case."""
    if name in container:
        return name
    lower = name.lower()
    return next((key for key in container if key.lower() == lower), None)


def unknown_name(schema: Schema, name: str) -> str:
    """Name an attribute that the schema does not have, for the log."""
    return f"{schema.urn}:{name}"


def _put(container: Document, attribute: Attribute, value: object, ignored: Ignored) -> None:
    """Take an attribute's value; refuses the same attribute twice, as in two spellings."""
    if attribute.name in container:
        raise values.invalid(attribute.name, "is given twice")
    if (kept := values.whole(attribute, value, ignored)) is not None:
        container[attribute.name] = kept
