"""PATCH of a multi-valued attribute: which of its entries are added, changed and removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from server.http.scim.attributes import Attribute
from server.http.scim.bodies import values
from server.http.scim.bodies.patch_operations import MISSING, Value, Verb
from server.http.scim.bodies.patch_paths import Place
from server.http.scim.bodies.patch_selections import Selection, folded
from server.http.scim.bodies.values import Ignored
from server.http.scim.errors import ScimError

Entry: TypeAlias = dict[str, Any]

MARK = "primary"


def change_entries(place: Place, present: list[Entry], verb: Verb, value: Value, ignored: Ignored) -> list[Entry]:
    """Give an attribute's entries after one operation; ``present`` may be changed and must not be used again."""
    attribute, part, selected = place.attribute, place.part, place.selection
    if part is not None:
        kept = None if verb is Verb.REMOVE else values.simple(part, value, f"{attribute.name}.{part.name}")
        return _change_part(place, part, present, kept)
    if selected is not None:
        if verb is Verb.REMOVE:
            return [entry for entry in present if not selected.matches(entry)]
        return _change_selected(attribute, selected, present, verb, values.entries(attribute, value, ignored))
    given = [] if value is MISSING else values.entries(attribute, value, ignored)
    match verb:
        case Verb.REPLACE:
            return given
        case Verb.ADD:
            return _merged(attribute, present, given)
        case Verb.REMOVE:
            # RFC 7644 knows no value here; Entra sends the entries that are to go. Nothing named is nothing removed.
            return [] if value is MISSING or value is None else _without(attribute, present, given)


def _change_part(place: Place, part: Attribute, present: list[Entry], value: Any) -> list[Entry]:
    """Set one part of the entries that the path selects; makes the entry if the path describes one. None removes it."""
    selected = place.selection
    found = present if selected is None else [entry for entry in present if selected.matches(entry)]
    if value is None:
        for entry in found:
            entry.pop(part.name, None)
        return present
    if selected is None and len(found) > 1:
        raise ScimError(400, f"{place.attribute.name} has several values: the path must select one", "noTarget")
    if not found:
        pattern = {} if selected is None else _pattern(place.attribute, selected)
        changed = {**pattern, part.name: value}
        if part.name in pattern:
            # It would be found by what it is to become. It was, if this request is a repetition.
            names = tuple(changed)
            wanted = _seen(place.attribute, changed, names)
            if all(_seen(place.attribute, entry, names) != wanted for entry in present):
                raise _no_target(place.attribute)
            return present
        found = [changed]
        present.append(changed)
    for entry in found:
        entry[part.name] = value
    return _one_primary(present, found)


def _change_selected(
    attribute: Attribute, selected: Selection, present: list[Entry], verb: Verb, given: list[Entry]
) -> list[Entry]:
    """Replace the entries that the path selects, or add parts to them; makes the entry if the path describes one."""
    if len(given) > 1:
        raise values.invalid(attribute.name, "takes one value where the path selects")
    if not given:
        return [entry for entry in present if verb is Verb.ADD or not selected.matches(entry)]
    found = [entry for entry in present if selected.matches(entry)]
    if not found:
        made = {**_pattern(attribute, selected), **given[0]}
        return _merged(attribute, present, [made])
    for entry in found:
        if verb is Verb.REPLACE:
            entry.clear()
            entry.update(selected.pattern or {})
        entry.update(given[0])
    return _one_primary(present, found)


def _pattern(attribute: Attribute, selected: Selection) -> Mapping[str, str | bool]:
    """Give the parts of the entry that a path describes."""
    if selected.pattern is None:
        raise _no_target(attribute)
    return selected.pattern


def _no_target(attribute: Attribute) -> ScimError:
    return ScimError(400, f"{attribute.name}: the path selects nothing", "noTarget")


def _merged(attribute: Attribute, present: list[Entry], given: list[Entry]) -> list[Entry]:
    """Add entries; one with the same value and type as another is the same and gets the new one's parts."""
    known = {_identity(attribute, entry): entry for entry in present}
    added = []
    for entry in given:
        identity = _identity(attribute, entry)
        if identity in known:
            known[identity].update(entry)
        else:
            known[identity] = entry
            present.append(entry)
        added.append(known[identity])
    if len(present) > values.MAX_ENTRIES:
        raise values.invalid(attribute.name, f"has more than {values.MAX_ENTRIES} values")
    return _one_primary(present, added)


def _identity(attribute: Attribute, entry: Entry) -> tuple[Any, ...]:
    """Give what tells an entry from another: value and type, or all but the mark if it has no value."""
    if "value" in attribute.sub_attributes:
        return _seen(attribute, entry, ("value", "type"))
    return _seen(attribute, entry, tuple(part.name for part in attribute.sub_attributes.values() if part.name != MARK))


def _without(attribute: Attribute, present: list[Entry], given: list[Entry]) -> list[Entry]:
    """Leave out the entries that have all parts of one that is given; the mark of the primary one does not count."""
    wanted: dict[tuple[str, ...], set[tuple[Any, ...]]] = {}
    for entry in given:
        names = tuple(name for name in entry if name != MARK) or (MARK,)
        wanted.setdefault(names, set()).add(_seen(attribute, entry, names))
    return [
        entry
        for entry in present
        if not any(_seen(attribute, entry, names) in looks for names, looks in wanted.items())
    ]


def _seen(attribute: Attribute, entry: Mapping[str, Any], names: tuple[str, ...]) -> tuple[Any, ...]:
    """Give what these parts of an entry are compared by."""
    parts = attribute.sub_attributes
    return tuple(folded(entry.get(name), exact=parts[name.lower()].case_exact) for name in names)


def _one_primary(present: list[Entry], changed: list[Entry]) -> list[Entry]:
    """Take the mark from the other entries if one that was changed has it (RFC 7644 section 3.5.2)."""
    marked = {id(entry) for entry in changed if entry.get(MARK) is True}
    if marked:
        for entry in present:
            if entry.get(MARK) is True and id(entry) not in marked:
                entry[MARK] = False
    return present
