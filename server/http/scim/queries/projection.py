"""Which attributes come back: ``attributes`` and ``excludedAttributes`` of RFC 7644 section 3.9."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from server.http.scim.attributes import COMMON, CORE, Kind, split_urn
from server.http.scim.bodies.places import place_of
from server.http.scim.errors import ScimError

MAX_NAMES = 200
MAX_LENGTH = 20_000
"""All names of one parameter together, in characters."""

_ALWAYS = frozenset(attribute.name for attribute in COMMON.values() if attribute.returned == "always")
_URN = "urn:"

Names: TypeAlias = "dict[str, Names]"
"""Members of an object by their names in lower case, each with the names below it; none below means all of it."""


@dataclass(frozen=True, slots=True)
class Projection:
    """What a client wants to see of each resource; ``id`` and ``schemas`` are seen always.

    ``only`` is None unless the client named what it wants. Names that resources of this kind do not have are in
    neither.
    """

    only: Names | None
    without: Names

    def apply(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """Give the resource with what is wanted of it; the given one stays as it is."""
        if self.only is None:
            return _left(resource, self.without)
        return {
            name: kept
            for name, value in resource.items()
            if (kept := value if name in _ALWAYS else _chosen(value, self.only.get(name.lower()))) is not None
        }

    def wants(self, name: str) -> bool:
        """Whether any of the attribute of this name is seen, and so must be read: "members", "groups"."""
        if self.only is None:
            return self.without.get(name.lower()) != {}
        return name in _ALWAYS or name.lower() in self.only


def projection(attributes: object, excluded: object, kind: Kind) -> Projection:
    """Read the two parameters: each a list of names, or None; a text in it may be several, parted by commas.

    Names are in any case, with or without the schema's URN. Names that are not known are passed over. Raises
    ScimError (invalidValue) if both parameters name something, or if one is no list of names or too long.
    """
    chosen, left_out = _names(attributes, "attributes"), _names(excluded, "excludedAttributes")
    if chosen and left_out:
        raise ScimError(400, "attributes and excludedAttributes exclude each other.", "invalidValue")
    without = _tree(left_out, kind)
    for name in _ALWAYS:
        without.pop(name.lower(), None)
    return Projection(_tree(chosen, kind) if chosen else None, without)


def _names(given: object, parameter: str) -> list[str]:
    texts = [] if given is None else [given] if isinstance(given, str) else given
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise ScimError(400, f"{parameter} is a list of names.", "invalidValue")
    if sum(map(len, texts)) > MAX_LENGTH:
        raise ScimError(400, f"{parameter} has at most {MAX_LENGTH} characters.", "invalidValue")
    names = [name for text in texts for part in text.split(",") if (name := part.strip())]
    if len(names) > MAX_NAMES:
        raise ScimError(400, f"{parameter} has at most {MAX_NAMES} names.", "invalidValue")
    return names


def _tree(names: Iterable[str], kind: Kind) -> Names:
    tree: Names = {}
    for name in names:
        for path in _paths(name, kind):
            _add(tree, path)
    return tree


def _paths(name: str, kind: Kind) -> Iterator[tuple[str, ...]]:
    """Give what a name points to, each as the names of members from the outside to the inside."""
    schema, rest = split_urn(name)
    if schema is CORE[kind] and not rest:
        yield from ((attribute.name,) for attribute in schema)
        return
    if schema is None and name[: len(_URN)].lower() == _URN:
        yield (name,)  # of an extension that is not known nobody can tell whether its URN ends here or a colon before
    place = place_of(name, kind)
    if place is not None:
        yield tuple(each for each in (place.extension, place.name, place.part) if each)


def _add(tree: Names, path: tuple[str, ...]) -> None:
    """Add a path; what is there whole stays whole."""
    *outer, last = (name.lower() for name in path)
    for name in outer:
        is_new = name not in tree
        tree = tree.setdefault(name, {})
        if not tree and not is_new:
            return
    tree[last] = {}


def _chosen(value: object, names: Names | None) -> object:
    """Give what is named of a value; None if nothing of it is."""
    if names is None or not names:
        return None if names is None else value
    if isinstance(value, list):
        return [part for entry in value if (part := _chosen(entry, names)) is not None] or None
    if isinstance(value, Mapping):
        kept = {name: _chosen(part, names.get(name.lower())) for name, part in value.items()}
        return {name: part for name, part in kept.items() if part is not None} or None
    return None


def _left(holder: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """Give what stays of an object without what is named."""
    kept = {}
    for name, value in holder.items():
        below = names.get(name.lower())
        left = value if below is None else _part_left(value, below) if below else None
        if left not in (None, [], {}):
            kept[name] = left
    return kept


def _part_left(value: object, names: Names) -> object:
    if isinstance(value, list):
        return [left for entry in value if (left := _part_left(entry, names)) != {}]
    return _left(value, names) if isinstance(value, Mapping) else value
