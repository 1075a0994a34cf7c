"""Answers of DELETE, COPY and MOVE: one status, or 207 with the members that failed (RFC 4918 section 13)."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

from server.webdav.errors import status_line
from server.webdav.request import Answer, StartResponse
from server.webdav.trees import Failure
from server.webdav.urls import href_of
from storage.files.path import VirtualPath

XML_HEADERS = [("Content-Type", "application/xml; charset=utf-8")]
OPENING = '<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:">'
CLOSING = "</D:multistatus>\n"


def send_outcome(
    start_response: StartResponse, target: VirtualPath, success: int, failures: Iterable[Failure]
) -> Answer:
    """Answer ``success``, or what failed: a failure on the target alone is the answer itself."""
    failed = list(failures)
    if not failed:
        return send_empty(start_response, success)
    if len(failed) == 1 and failed[0].path == target:
        raise failed[0].error
    rows = (
        f"<D:response><D:href>{escape(href_of(one.path, is_directory=one.is_directory))}</D:href>"
        f"<D:status>HTTP/1.1 {status_line(one.error.value)}</D:status></D:response>"
        for one in failed
    )
    return send_xml(start_response, 207, OPENING + "".join(rows) + CLOSING)


def send_empty(start_response: StartResponse, status: int, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    """Answer without a body."""
    length = [] if status == 204 else [("Content-Length", "0")]  # noqa: PLR2004 - RFC 9110 8.6 forbids it on 204
    start_response(status_line(status), [*headers, *length])
    return [b""]


def send_xml(start_response: StartResponse, status: int, text: str, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    """Answer with an XML body."""
    body = text.encode()
    start_response(status_line(status), [*XML_HEADERS, *headers, ("Content-Length", str(len(body)))])
    return [body]
