"""DavServer: WsgiDAV's request server with the verbs that move data, lock or list replaced by ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wsgidav.dav_error import DAVError
from wsgidav.request_server import RequestServer

from server.webdav.copying import copy_or_move
from server.webdav.errors import dav_error, page_of, status_line
from server.webdav.guards import check_conditions, check_member_change, check_unlocked
from server.webdav.listing import propfind
from server.webdav.locking import check_may_lock, lock
from server.webdav.multistatus import send_empty
from server.webdav.patching import proppatch
from server.webdav.provider import WorkspaceProvider
from server.webdav.reading import get
from server.webdav.removing import delete
from server.webdav.request import Answer, Environ, StartResponse, request_of, stat_or_none
from storage.database.locks import LockTable

METHODS = (
    "OPTIONS",
    "GET",
    "HEAD",
    "PUT",
    "DELETE",
    "MKCOL",
    "COPY",
    "MOVE",
    "PROPFIND",
    "PROPPATCH",
    "LOCK",
    "UNLOCK",
)
CAPABILITIES = [("DAV", "1, 2"), ("MS-Author-Via", "DAV"), ("Accept-Ranges", "bytes"), ("Allow", ", ".join(METHODS))]
"""What OPTIONS says. Windows needs MS-Author-Via; Finder mounts writable only with class 2."""

# WsgiDAV reads these on every request (4.4.0, RequestServer.__call__, util.parse_xml_body).
_CONFIG: dict[str, Any] = {"honor_mtime_header": False, "hotfixes": {}}


class DavServer(RequestServer):  # type: ignore[misc]  # wsgidav is untyped
    """Serves one request. PUT is not here: the endpoint drives it (see uploads)."""

    def __init__(self, provider: WorkspaceProvider) -> None:
        super().__init__(provider)
        self.allow_propfind_infinite = False
        self._possible_methods = [method for method in METHODS if method != "PUT"]

    def do_OPTIONS(self, _environ: Environ, start_response: StartResponse) -> Answer:  # noqa: N802 - WsgiDAV's name
        """Say what the tree can do, wherever it is asked."""
        return send_empty(start_response, 200, CAPABILITIES)

    def do_GET(self, environ: Environ, start_response: StartResponse) -> Answer:  # noqa: N802
        """Serve GET."""
        return get(request_of(environ), environ, start_response)

    do_HEAD = do_GET  # noqa: N815

    def do_PROPFIND(self, environ: Environ, start_response: StartResponse) -> Answer:  # noqa: N802
        """Serve PROPFIND."""
        return propfind(request_of(environ), environ, start_response)

    def do_PROPPATCH(self, environ: Environ, start_response: StartResponse) -> Answer:  # noqa: N802
        """Serve PROPPATCH."""
        return proppatch(request_of(environ), environ, start_response)

    def do_DELETE(self, environ: Environ, start_response: StartResponse) -> Answer:  # noqa: N802
        """Serve DELETE."""
        return delete(request_of(environ), environ, start_response)

    def do_COPY(self, environ: Environ, start_response: StartResponse) -> Answer:  # noqa: N802
        """Serve COPY."""
        return copy_or_move(request_of(environ), environ, start_response, move=False)

    def do_MOVE(self, environ: Environ, start_response: StartResponse) -> Answer:  # noqa: N802
        """Serve MOVE."""
        return copy_or_move(request_of(environ), environ, start_response, move=True)

    def do_LOCK(self, environ: Environ, start_response: StartResponse) -> Answer:  # noqa: N802
        """Serve LOCK."""
        return lock(request_of(environ), environ, start_response)

    def do_UNLOCK(self, environ: Environ, start_response: StartResponse) -> Answer:  # noqa: N802
        """Serve UNLOCK; WsgiDAV 4.4.0 asks whose the lock is, and not what the session may do."""
        check_may_lock(request_of(environ))
        answer: Answer = super().do_UNLOCK(environ, start_response)
        return answer

    def do_MKCOL(self, environ: Environ, start_response: StartResponse) -> Answer:  # noqa: N802
        """Serve MKCOL; WsgiDAV 4.4.0 judges neither conditions nor a lock on the new name itself."""
        request = request_of(environ)
        if not request.path.is_root:
            check_conditions(request, environ, stat_or_none(request.workspace, request.path))
            check_member_change(request, environ, request.path)
        answer: Answer = super().do_MKCOL(environ, start_response)
        return answer

    def _evaluate_if_headers(self, res: Any, environ: Environ) -> None:
        """Judge conditions by our own parser; WsgiDAV's takes no tagged list for a missing resource."""
        check_conditions(request_of(environ), environ, None if res is None else res.stat)

    def _check_write_permission(self, res: Any, depth: str, environ: Environ) -> None:
        """Judge locks for all workers at once."""
        if res is not None:
            check_unlocked(request_of(environ), environ, res.place, depth_infinity=depth == "infinity")


class DavApplication:
    """The WSGI application: one request in, an answer or an error page out."""

    def __init__(self, locks: LockTable) -> None:
        self._provider = WorkspaceProvider(locks)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        """Serve a request whose environ holds a DavRequest.

        ``start_response`` is called only once the first bytes are there, so that an error before
        them still has its own status; an error after them is raised and must break the connection.
        """
        request = request_of(environ)  # fails closed: WsgiDAV itself would go on as "anonymous" (4.4.0)
        environ["wsgidav.auth.user_name"] = request.user_id
        environ["wsgidav.provider"] = self._provider
        environ["wsgidav.config"] = _CONFIG
        environ["wsgidav.verbose"] = 0
        held: list[tuple[str, list[tuple[str, str]]]] = []
        started = False
        answer = DavServer(self._provider)(environ, lambda status, headers, *_: held.append((status, headers)))
        try:
            for piece in answer:
                if not started:
                    started = True
                    start_response(*held[-1])
                yield piece
        except Exception as error:
            if started:
                raise
            yield from error_page(dav_error(error), environ["REQUEST_METHOD"], start_response)
        finally:
            answer.close()


def error_page(error: DAVError, method: str, start_response: StartResponse) -> Iterator[bytes]:
    """Answer with an error: its headers, and a page unless the status or the method forbids one."""
    headers = list(error.add_headers or [])
    if error.value in {204, 304}:
        start_response(status_line(error.value), headers)
        yield b""
        return
    kind, page = page_of(error)
    start_response(status_line(error.value), [*headers, ("Content-Type", kind), ("Content-Length", str(len(page)))])
    yield b"" if method == "HEAD" else page
