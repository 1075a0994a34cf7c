"""PROPPATCH (RFC 4918 section 9.2): all changes or none, in one transaction.

Dead properties are stored as they come, Windows' ``Win32…`` times and attributes among them. Of the
live ones only the modification time can be set, under the name that rclone uses.
"""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import tostring
from xml.sax.saxutils import escape

from wsgidav.dav_error import DAVError

from server.webdav.conditions import http_date
from server.webdav.errors import status_line
from server.webdav.guards import check_conditions, check_unlocked
from server.webdav.limits import parsed_body
from server.webdav.multistatus import CLOSING, OPENING, send_xml
from server.webdav.places import place_of
from server.webdav.rendering import empty_element
from server.webdav.request import Answer, DavRequest, Environ, StartResponse
from server.webdav.urls import href_of
from storage.database.properties import PropertiesTooLarge

LAST_MODIFIED = "{DAV:}lastmodified"
PROTECTED = "<D:error><D:cannot-modify-protected-property/></D:error>"

Change = tuple[str, Any]
"""A name in Clark notation with the property's element, or None to remove it."""


def proppatch(request: DavRequest, environ: Environ, start_response: StartResponse) -> Answer:
    """Serve PROPPATCH."""
    if environ.get("HTTP_DEPTH", "0") != "0":
        raise DAVError(400, "Depth of PROPPATCH must be 0.")
    stat = request.workspace.stat(request.path, committed=True)
    check_conditions(request, environ, stat)
    check_unlocked(request, environ, request.path)
    if not request.workspace.may_describe(request.path):
        raise DAVError(403, "You may not change the properties of this place.")
    changes = _changes(parsed_body(environ))

    outcome = {name: _judge(name, element) for name, element in changes}
    if any(status != 200 for status in outcome.values()):  # noqa: PLR2004 - 424 for those that would have been right
        outcome = {name: 424 if status == 200 else status for name, status in outcome.items()}  # noqa: PLR2004
    else:
        try:
            _apply(request, changes)
        except PropertiesTooLarge:
            outcome = dict.fromkeys(outcome, 507)
    href = href_of(request.path, is_directory=stat.is_directory)
    return send_xml(start_response, 207, OPENING + _response(href, outcome) + CLOSING)


def _changes(root: Any) -> list[Change]:
    if root is None or root.tag != "{DAV:}propertyupdate":
        raise DAVError(400, "The body is no propertyupdate.")
    changes: list[Change] = []
    for action in root:
        if action.tag not in {"{DAV:}set", "{DAV:}remove"}:
            continue  # RFC 4918 section 17: unknown elements are ignored
        for container in action:
            if container.tag == "{DAV:}prop":
                changes += [(element.tag, element if action.tag == "{DAV:}set" else None) for element in container]
    if not changes:
        raise DAVError(400, "The propertyupdate names no property.")
    return changes


def _judge(name: str, element: Any) -> int:
    if name == LAST_MODIFIED:
        return 409 if element is None or _seconds(element) is None else 200
    return 403 if name.startswith("{DAV:}") else 200


def _seconds(element: Any) -> int | None:
    """Read a time: Unix seconds, or an HTTP date."""
    value = (element.text or "").strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 12 else http_date(value)  # noqa: PLR2004 - fits nanoseconds


def _apply(request: DavRequest, changes: list[Change]) -> None:
    place = place_of(request, request.path)
    dead = [(name, None if element is None else _stored(element)) for name, element in changes if name != LAST_MODIFIED]
    if dead:
        request.properties.change(place.tree, place.key, dead)
    for name, element in changes:
        if name == LAST_MODIFIED and (seconds := _seconds(element)) is not None:
            request.workspace.set_times(request.path, seconds * 1_000_000_000, None)


def _stored(element: Any) -> str:
    """Give the element as text that can stand in any document."""
    element.tail = None
    return tostring(element, encoding="unicode")


def _response(href: str, outcome: dict[str, int]) -> str:
    parts: list[str] = []
    for status in sorted(set(outcome.values())):
        names = "".join(empty_element(name) for name, one in outcome.items() if one == status)
        error = PROTECTED if status == 403 else ""  # noqa: PLR2004
        line = f"<D:status>HTTP/1.1 {status_line(status)}</D:status>"
        parts.append(f"<D:propstat><D:prop>{names}</D:prop>{line}{error}</D:propstat>")
    return f"<D:response><D:href>{escape(href)}</D:href>{''.join(parts)}</D:response>"
