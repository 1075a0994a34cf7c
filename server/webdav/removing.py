"""DELETE (RFC 4918 section 9.6)."""

from __future__ import annotations

from wsgidav.dav_error import DAVError

from server.webdav.guards import check_conditions, check_member_change, check_unlocked
from server.webdav.multistatus import send_outcome
from server.webdav.places import place_of
from server.webdav.request import Answer, DavRequest, Environ, StartResponse
from server.webdav.trees import Failure, remove_members
from storage.files.errors import NotFound, SessionEnded, StorageError
from storage.files.path import VirtualPath


def delete(request: DavRequest, environ: Environ, start_response: StartResponse) -> Answer:
    """Remove a file, or a directory with all that the user may remove in it."""
    path = request.path
    stat = request.workspace.stat(path, committed=True)
    depth = environ.get("HTTP_DEPTH", "infinity")
    if depth != "infinity" and (stat.is_directory or depth != "0"):
        raise DAVError(400, "Depth of DELETE must be infinity.")
    check_conditions(request, environ, stat)
    check_member_change(request, environ, path)
    if not stat.is_directory:
        request.workspace.remove(path)
        forget(request, path)
        return send_outcome(start_response, path, 204, [])
    failures = remove_directory(request, environ, path)
    if not failures:
        forget(request, path)
    return send_outcome(start_response, path, 204, failures)


def remove_directory(request: DavRequest, environ: Environ, path: VirtualPath) -> list[Failure]:
    """Remove a tree: at once if nothing is in the way, else member by member as far as it goes."""

    def check(member: VirtualPath) -> None:
        check_member_change(request, environ, member)  # a flat lock on a folder inside guards its list of names

    try:
        check_unlocked(request, environ, path, depth_infinity=True)
        request.workspace.remove_tree(path)
    except (NotFound, SessionEnded):
        raise
    except (DAVError, StorageError):
        return remove_members(request.workspace, path, check)
    return []


def forget(request: DavRequest, path: VirtualPath) -> None:
    """End the locks and remove the properties of what was removed."""
    place = place_of(request, path)
    request.locks.forget(place.tree, place.key)
    request.properties.forget(place.tree, place.key)
