"""A group's extensions: kept as they were sent, by the rules for a user's and within the same limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from types import MappingProxyType
from typing import Any

from server.http.scim.attributes import split_urn
from server.http.scim.bodies import patch_extensions
from server.http.scim.bodies.documents import Document, finished_user, user_document
from server.http.scim.bodies.patch_operations import Operation
from server.http.scim.bodies.values import Ignored

# A user's document needs these. With them its rules hold for what a group has beside its own attributes.
_OF_A_USER: Mapping[str, Any] = MappingProxyType({"userName": "group", "active": True})


def is_extension(name: str) -> bool:
    """Whether a URN leads this key or path that no declared schema has."""
    return name[:4].lower() == "urn:" and split_urn(name)[0] is None


def whole_extensions(body: Mapping[str, Any]) -> tuple[Document, tuple[str, ...]]:
    """Read the extensions in the body of a POST or a PUT, and the names of what was ignored of them.

    Raises:
        ScimError: 400 invalidValue.
    """
    document, ignored = user_document({**_OF_A_USER, **{key: body[key] for key in body if is_extension(key)}})
    return _without_user(document), ignored


def patched_extensions(present: Document, operations: Iterable[Operation]) -> tuple[Document, tuple[str, ...]]:
    """Give the extensions after these operations, each with a path, and the names of what was ignored.

    Raises:
        ScimError: 400 invalidPath or invalidValue.
    """
    document, ignored = deepcopy(present), Ignored()
    for operation in operations:
        patch_extensions.change(document, operation.path or "", operation.verb, operation.value, ignored)
    return _without_user(finished_user({**_OF_A_USER, **document})), ignored.names()


def _without_user(document: Document) -> Document:
    return {name: value for name, value in document.items() if name not in _OF_A_USER}
