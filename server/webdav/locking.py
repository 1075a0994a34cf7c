"""LOCK (RFC 4918 section 9.10): a new lock, also on a name that does not exist yet, or a longer lease."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import tostring

from wsgidav.dav_error import DAVError, PRECONDITION_CODE_LockTokenMismatch

from server.webdav.errors import locked
from server.webdav.guards import check_conditions, check_member_change, submitted_if
from server.webdav.limits import MAX_LOCK_OWNER_BYTES, lock_timeout_s, parsed_body
from server.webdav.lockdiscovery import active_locks
from server.webdav.multistatus import send_xml
from server.webdav.places import Place, place_of, seen_at
from server.webdav.request import Answer, DavRequest, Environ, StartResponse, stat_or_none
from server.webdav.urls import href_of
from storage.database.locks import DavLock, LockConflict, LockWish
from storage.files.api import WriteMode
from storage.files.errors import AlreadyExists, StorageError
from storage.files.permissions import Right

_WRITING = (Right.OVERWRITE, Right.APPEND, Right.CREATE, Right.DELETE, Right.RENAME, Right.MAKE_DIRECTORY)


@dataclass(frozen=True, slots=True)
class LockInfo:
    """The body of a LOCK; ``owner`` is the client's element as text."""

    exclusive: bool
    owner: str


def lock(request: DavRequest, environ: Environ, start_response: StartResponse) -> Answer:
    """Take a lock, or prolong one if there is no body."""
    stat = stat_or_none(request.workspace, request.path)
    check_conditions(request, environ, stat)
    timeout_s = lock_timeout_s(environ.get("HTTP_TIMEOUT"))
    place = place_of(request, request.path)
    check_may_lock(request)
    root = parsed_body(environ)
    if root is None:
        return _refresh(request, environ, start_response, timeout_s)
    depth = environ.get("HTTP_DEPTH", "infinity")
    if depth not in {"0", "infinity"}:
        raise DAVError(400, "Depth of LOCK must be 0 or infinity.")
    info = _lock_info(root)
    wish = LockWish(
        tree=place.tree,
        path=place.key,
        depth_infinity=depth == "infinity",
        exclusive=info.exclusive,
        user_id=request.user_id,
        owner=info.owner,
        timeout_s=timeout_s,
    )
    if stat is None:
        parent = stat_or_none(request.workspace, request.path.parent)
        if parent is None or not parent.is_directory:
            raise DAVError(409, "The folder does not exist.")
        check_member_change(request, environ, request.path)
    try:
        taken = request.locks.acquire(wish)
    except LockConflict as conflict:
        roots = {seen_at(one, request.path, place) for one in conflict.locks}
        raise locked(sorted(href_of(root, is_directory=False) for root in roots), token_missing=False) from None
    created = stat is None and _create_empty(request, taken)
    headers = [("Lock-Token", f"<{taken.token}>")]
    return _answer(start_response, 201 if created else 200, [taken], (request, place), headers)


def check_may_lock(request: DavRequest) -> None:
    """Raise DAVError 403 unless the session may write here: a read-only API key of the same user may not unlock."""
    if not any(request.workspace.may(request.path, right) for right in _WRITING):
        raise DAVError(403, "You may not change this place, and so neither lock nor unlock it.")


def _create_empty(request: DavRequest, taken: DavLock) -> bool:
    """Make the empty file that a lock on a new name stands for (RFC 4918 7.3); without it the lock is given back."""
    try:
        with request.workspace.open_writer(request.path, WriteMode.CREATE) as upload:
            upload.commit()
    except AlreadyExists:
        return False  # somebody made it meanwhile: then it is that one which is locked
    except StorageError:
        request.locks.release(taken.token)
        raise
    request.properties.forget(taken.tree, taken.path)  # of a file that was removed by another way than WebDAV
    return True


def _refresh(request: DavRequest, environ: Environ, start_response: StartResponse, timeout_s: float) -> Answer:
    """Prolong the one lock whose token came in the If header; Depth is ignored (9.10.2)."""
    tokens = submitted_if(environ).tokens
    if len(tokens) != 1:
        raise DAVError(400, "To refresh a lock, send its token in the If header.")
    (token,) = tokens
    place = place_of(request, request.path)
    held = {one.token for one in request.locks.covering(place.tree, place.key)}
    refreshed = request.locks.refresh(token, request.user_id, timeout_s) if token in held else None
    if refreshed is None:
        raise DAVError(412, err_condition=PRECONDITION_CODE_LockTokenMismatch)
    return _answer(start_response, 200, [refreshed], (request, place), [])


def _answer(
    start_response: StartResponse,
    status: int,
    locks: list[DavLock],
    where: tuple[DavRequest, Place],
    headers: list[tuple[str, str]],
) -> Answer:
    request, place = where
    found = active_locks(locks, request.path, place)
    text = (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<D:prop xmlns:D="DAV:"><D:lockdiscovery>{found}</D:lockdiscovery></D:prop>\n'
    )
    return send_xml(start_response, status, text, headers)


def _lock_info(root: Any) -> LockInfo:
    if root.tag != "{DAV:}lockinfo":
        raise DAVError(400, "The body is no lockinfo.")
    scope = root.find("{DAV:}lockscope")
    kind = root.find("{DAV:}locktype")
    scopes = [] if scope is None else [child.tag for child in scope]
    if scopes not in (["{DAV:}exclusive"], ["{DAV:}shared"]):
        raise DAVError(400, "The lock's scope must be exclusive or shared.")
    if kind is None or [child.tag for child in kind] != ["{DAV:}write"]:
        raise DAVError(400, "The lock's type must be write.")
    element = root.find("{DAV:}owner")
    owner = ""
    if element is not None:
        element.tail = None
        owner = tostring(element, encoding="unicode")
    if len(owner.encode()) > MAX_LOCK_OWNER_BYTES:
        raise DAVError(413, "The lock's owner is too long.")
    return LockInfo(scopes == ["{DAV:}exclusive"], owner)
