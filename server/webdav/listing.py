"""PROPFIND (RFC 4918 section 9.1): one scan, one query for properties, one for locks, and streamed text."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import chain

from wsgidav.dav_error import DAVError, PRECONDITION_CODE_PropfindFiniteDepth

from server.webdav.errors import status_line
from server.webdav.guards import check_conditions
from server.webdav.limits import parsed_body
from server.webdav.lockdiscovery import active_locks
from server.webdav.multistatus import CLOSING, OPENING, XML_HEADERS
from server.webdav.places import Place, place_of
from server.webdav.propfind import Mode, Wanted, wanted_from
from server.webdav.rendering import Resource, render
from server.webdav.request import Answer, DavRequest, Environ, StartResponse
from server.webdav.urls import href_of, quoted
from storage.database.locks import DavLock
from storage.database.properties import Properties, PropertiesTooLarge
from storage.files.api import Entry, Space, Stat

PIECE = 128 * 1024  # characters of the answer that are held before they are sent


def propfind(request: DavRequest, environ: Environ, start_response: StartResponse) -> Answer:
    """Serve properties of a place, and with Depth 1 of its members. Depth infinity is refused.

    A missing Depth means infinity by the RFC; old clients that leave it out want one level.
    """
    stat = request.workspace.stat(request.path, committed=True)
    depth = environ.get("HTTP_DEPTH", "1" if stat.is_directory else "0")
    if depth == "infinity":
        raise DAVError(403, err_condition=PRECONDITION_CODE_PropfindFiniteDepth)
    if depth not in {"0", "1"}:
        raise DAVError(400, "Depth of PROPFIND must be 0 or 1.")
    check_conditions(request, environ, stat, safe=True)
    wanted = wanted_from(parsed_body(environ))
    listing = _Listing(request, wanted, stat)
    entries = request.workspace.scan(request.path, committed=True) if depth == "1" and stat.is_directory else iter(())
    resources = chain([listing.itself()], map(listing.member, entries))
    start_response(status_line(207), XML_HEADERS)
    return _pieces(resources, wanted)


def _pieces(resources: Iterator[Resource], wanted: Wanted) -> Iterator[bytes]:
    parts, held = [OPENING], 0
    for resource in resources:
        text = render(resource, wanted)
        parts.append(text)
        held += len(text)
        if held >= PIECE:
            yield "".join(parts).encode()
            parts, held = [], 0
    parts.append(CLOSING)
    yield "".join(parts).encode()


class _Listing:
    """What the members of one directory share: queries are made once, and only if their answer is wanted."""

    def __init__(self, request: DavRequest, wanted: Wanted, stat: Stat) -> None:
        self._request = request
        self._stat = stat
        self._path = request.path
        self._place = place_of(request, request.path)
        self._base = href_of(request.path, is_directory=stat.is_directory)
        live = wanted.mode is not Mode.NAMED or "{DAV:}lockdiscovery" in wanted.names
        dead = wanted.mode is not Mode.NAMED or any(not name.startswith("{DAV:}") for name in wanted.names)
        self._wants_locks, self._wants_dead = live, dead
        self._own_locks = request.locks.covering(self._place.tree, self._place.key) if live else []
        self._member_locks: dict[str, list[DavLock]] | None = None
        self._member_properties: dict[str, Properties] | None = None
        self._one_by_one = False  # the members' properties are too many to be held together
        self._space = lru_cache(maxsize=1)(lambda: request.workspace.space(request.path))

    def itself(self) -> Resource:
        """Give the target of the request."""
        dead = self._request.properties.at(self._place.tree, self._place.key) if self._wants_dead else {}
        locks = active_locks(self._own_locks, self._path, self._place)
        return Resource(self._base, self._path.name, self._stat, self._space, dead, locks)

    def member(self, entry: Entry) -> Resource:
        """Give one entry of the target's directory."""
        href = self._base + quoted(entry.name) + ("/" if entry.stat.is_directory else "")
        path = self._path.child(entry.name)
        place = Place(self._place.tree, self._place.path.child(entry.name))
        if entry.stat.is_directory and (real := place_of(self._request, path)) != place:
            return self._of_another_tree(entry, href, real)
        return Resource(href, entry.name, entry.stat, self._space, self._dead(place), self._locks(entry.name, place))

    def _of_another_tree(self, entry: Entry, href: str, place: Place) -> Resource:
        path = self._path.child(entry.name)
        dead = self._request.properties.at(place.tree, place.key) if self._wants_dead else {}
        locks = self._request.locks.covering(place.tree, place.key) if self._wants_locks else []

        def space() -> Space:
            return self._request.workspace.space(path)

        return Resource(href, entry.name, entry.stat, space, dead, active_locks(locks, path, place))

    def _dead(self, place: Place) -> Properties:
        if not self._wants_dead:
            return {}
        if self._member_properties is None and not self._one_by_one:
            try:
                self._member_properties = self._request.properties.of_members(self._place.tree, self._place.key)
            except PropertiesTooLarge:
                self._one_by_one = True
        if self._one_by_one:
            return self._request.properties.at(place.tree, place.key)
        return self._member_properties.get(place.key, {}) if self._member_properties else {}

    def _locks(self, name: str, place: Place) -> str:
        if not self._wants_locks:
            return ""
        if self._member_locks is None:
            self._member_locks = {}
            for lock in self._request.locks.in_subtree(self._place.tree, self._place.key):
                self._member_locks.setdefault(lock.path, []).append(lock)
        reaching = [lock for lock in self._own_locks if lock.depth_infinity]
        if not (reaching or self._member_locks):
            return ""
        return active_locks(reaching + self._member_locks.get(place.key, []), self._path.child(name), place)
