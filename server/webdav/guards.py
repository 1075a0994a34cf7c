"""Guards: what must hold before a request may act. Preconditions (412, 304) and locks (423)."""

from __future__ import annotations

from wsgidav.dav_error import DAVError

from server.webdav import if_header
from server.webdav.conditions import Facts, Outcome, evaluate
from server.webdav.errors import locked
from server.webdav.if_header import IfHeader
from server.webdav.places import place_of, seen_at
from server.webdav.request import DavRequest, Environ, stat_or_none
from server.webdav.urls import BadDestination, destination_of, href_of
from storage.files.api import Stat
from storage.files.errors import InvalidPath
from storage.files.path import VirtualPath

_IF_KEY = "quaymaster.if"


def etag_of(stat: Stat) -> str | None:
    """Give the strong entity tag of a file, without quotes; directories have none."""
    return None if stat.is_directory else stat.version


def facts_of(stat: Stat | None) -> Facts | None:
    """Give what preconditions are judged by."""
    return None if stat is None else Facts(etag_of(stat), stat.modified_ns // 1_000_000_000)


def submitted_if(environ: Environ) -> IfHeader:
    """Give the request's If header, parsed once. Raises MalformedIf."""
    parsed: IfHeader | None = environ.get(_IF_KEY)
    if parsed is None:
        parsed = environ[_IF_KEY] = if_header.parse(environ.get("HTTP_IF"))
    return parsed


def check_conditions(request: DavRequest, environ: Environ, stat: Stat | None, *, safe: bool = False) -> None:
    """Judge all conditional headers against the target. Raises DAVError 412, or 304 with the validators."""
    match evaluate(environ, facts_of(stat), safe=safe):
        case Outcome.FAILED:
            raise DAVError(412, "A precondition failed.")
        case Outcome.NOT_MODIFIED:
            tag = None if stat is None else etag_of(stat)
            raise DAVError(304, add_headers=[("ETag", f'"{tag}"')] if tag is not None else None)
        case Outcome.PROCEED:
            pass
    header = submitted_if(environ)
    if header.lists and not _holds(request, environ, header, stat):
        raise DAVError(412, "The If header's condition failed.")


def _holds(request: DavRequest, environ: Environ, header: IfHeader, stat: Stat | None) -> bool:
    """Whether the If header's condition holds; a tagged list may be about another resource of this tree."""

    def named(resource: str | None) -> VirtualPath | None:
        if resource is None:
            return request.path
        try:
            return destination_of(resource, environ.get("HTTP_HOST", ""))
        except (BadDestination, InvalidPath):
            return None

    def tokens(resource: str | None) -> set[str]:
        path = named(resource)
        if path is None:
            return set()
        place = place_of(request, path)
        return {lock.token for lock in request.locks.covering(place.tree, place.key)}

    def etag(resource: str | None) -> str | None:
        path = named(resource)
        if path is None:
            return None
        found = stat if path == request.path else stat_or_none(request.workspace, path)
        return None if found is None else etag_of(found)

    return header.holds(tokens, etag)


def check_unlocked(request: DavRequest, environ: Environ, path: VirtualPath, *, depth_infinity: bool = False) -> None:
    """Let pass who may change this place as far as locks go. Raises DAVError 423 with the locks in the way."""
    place = place_of(request, path)
    conflicts = request.locks.writing_conflicts(
        place.tree,
        place.key,
        depth_infinity=depth_infinity,
        user_id=request.user_id,
        tokens=submitted_if(environ).tokens,
    )
    if conflicts:
        hrefs = {href_of(seen_at(lock, path, place), is_directory=False) for lock in conflicts}
        raise locked(sorted(hrefs), token_missing=True)


def check_member_change(request: DavRequest, environ: Environ, path: VirtualPath) -> None:
    """The same for adding or removing ``path``, which changes the directory that holds it too (RFC 4918 7.4)."""
    check_unlocked(request, environ, path)
    if not path.is_root:
        check_unlocked(request, environ, path.parent)
