"""From documents to resources, and from resources to lists, as a client gets them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from server.http.scim.attributes import CORE, Kind
from server.http.scim.queries.paging import Page

LIST_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:ListResponse"

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class GroupRef:
    """A group that a user is in."""

    id: str
    display: str


@dataclass(frozen=True, slots=True)
class MemberRef:
    """A user who is in a group."""

    id: str


@dataclass(frozen=True, slots=True)
class Meta:
    """A resource's times, in seconds since 1970, and its version."""

    created: float
    modified: float
    version: int

    @property
    def etag(self) -> str:
        """The version as it stands in ``meta.version`` and in the header ``ETag``."""
        return f'W/"{self.version}"'


def user_resource(
    id: str,  # noqa: A002 - the attribute's name
    document: Mapping[str, Any],
    groups: Sequence[GroupRef],
    meta: Meta,
    base: str,
) -> Resource:
    """Give a user as a client sees it. ``base`` is the URL that ``/Users`` follows, without a slash at its end."""
    resource = _resource(Kind.USER, id, document)
    if groups:
        resource["groups"] = [
            {"value": group.id, "$ref": _location(Kind.GROUP, group.id, base)}
            | ({"display": group.display} if group.display else {})
            | {"type": "direct"}
            for group in groups
        ]
    resource["meta"] = _meta(Kind.USER, id, meta, base)
    return resource


def group_resource(
    id: str,  # noqa: A002 - the attribute's name
    document: Mapping[str, Any],
    members: Sequence[MemberRef] | None,
    meta: Meta,
    base: str,
) -> Resource:
    """Give a group as a client sees it; without ``members`` if they were not read or there are none."""
    resource = _resource(Kind.GROUP, id, document)
    if members:
        resource["members"] = [
            {"value": member.id, "$ref": _location(Kind.USER, member.id, base), "type": "User"} for member in members
        ]
    resource["meta"] = _meta(Kind.GROUP, id, meta, base)
    return resource


def list_response(resources: Sequence[Mapping[str, Any]], total: int, page: Page) -> dict[str, Any]:
    """Give the answer to a query: these resources are the page's, and ``total`` is how many there are in all.

    ``Resources`` is there also if it is empty, as Microsoft's guide shows it for a query that finds nobody.
    """
    return {
        "schemas": [LIST_RESPONSE],
        "totalResults": total,
        "startIndex": page.start_index,
        "itemsPerPage": len(resources),
        "Resources": list(resources),
    }


def _resource(kind: Kind, resource_id: str, document: Mapping[str, Any]) -> Resource:
    extensions = [name for name in document if ":" in name]  # only URNs have colons
    return {"schemas": [CORE[kind].urn, *extensions], "id": resource_id, **document}


def _meta(kind: Kind, resource_id: str, meta: Meta, base: str) -> dict[str, Any]:
    return {
        "resourceType": str(kind),
        "created": _time(meta.created),
        "lastModified": _time(meta.modified),
        "location": _location(kind, resource_id, base),
        "version": meta.etag,
    }


def _location(kind: Kind, resource_id: str, base: str) -> str:
    return f"{base}/{kind}s/{resource_id}"


def _time(seconds: float) -> str:
    """Give a time in RFC 3339 with milliseconds, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
