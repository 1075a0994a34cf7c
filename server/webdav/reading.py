"""GET and HEAD, with single ranges (RFC 9110 section 14)."""

from __future__ import annotations

import functools
import mimetypes
from collections.abc import Iterator
from email.utils import formatdate

from wsgidav.dav_error import DAVError

from server.webdav.conditions import Facts, range_still_valid
from server.webdav.errors import status_line
from server.webdav.guards import check_conditions, etag_of
from server.webdav.limits import READ_BLOCK
from server.webdav.ranges import Span, Unsatisfiable, requested_span
from server.webdav.request import Answer, DavRequest, Environ, StartResponse
from storage.files.api import Reader, Stat
from storage.files.errors import StorageUnavailable

LAST_SECOND = 253_402_300_799  # of the year 9999; a date has four digits for it
_DIRECTORY_PAGE = b"This is a WebDAV folder. Open it with a WebDAV client.\n"


def get(request: DavRequest, environ: Environ, start_response: StartResponse) -> Answer:
    """Serve a file, or a sentence for a directory (Office asks HEAD of directories and takes no refusal)."""
    head = environ["REQUEST_METHOD"] == "HEAD"
    path = request.path
    stat = request.workspace.stat(path, committed=True)
    if stat.is_directory:
        check_conditions(request, environ, stat, safe=True)
        length = str(len(_DIRECTORY_PAGE))
        start_response(status_line(200), [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", length)])
        return [b"" if head else _DIRECTORY_PAGE]
    if head:
        check_conditions(request, environ, stat, safe=True)
        status, headers, _ = _plan(environ, path.name, stat)
        start_response(status_line(status), headers)
        return [b""]
    reader = request.workspace.open_reader(path)
    try:
        stat = reader.stat()  # of what was opened: a file put in its place meanwhile has other facts
        check_conditions(request, environ, stat, safe=True)
        status, headers, span = _plan(environ, path.name, stat)
    except BaseException:
        reader.close()
        raise
    start_response(status_line(status), headers)
    return FileBlocks(reader, span)


class FileBlocks:
    """The bytes of a span, block by block; closes the reader. A file that shrinks meanwhile breaks the response."""

    def __init__(self, reader: Reader, span: Span) -> None:
        self._reader = reader
        self._span = span

    def __iter__(self) -> Iterator[bytes]:
        try:
            position = self._span.start
            while position < self._span.end:
                block = self._reader.read_at(position, min(READ_BLOCK, self._span.end - position))
                if not block:
                    raise StorageUnavailable("the file shrank while it was read")
                position += len(block)
                yield block
            if self._span.length == 0:
                yield b""
        finally:
            self._reader.close()

    def close(self) -> None:
        """Release the file, also if nothing was read."""
        self._reader.close()


def _plan(environ: Environ, name: str, stat: Stat) -> tuple[int, list[tuple[str, str]], Span]:
    """Decide status, headers and bytes. Raises DAVError 416 with the file's size."""
    facts = Facts(etag_of(stat), stat.modified_ns // 1_000_000_000)
    headers = [
        ("Content-Type", content_type(name)),
        ("ETag", f'"{facts.etag}"'),
        ("Last-Modified", http_date(facts.modified_s)),
        ("Accept-Ranges", "bytes"),
    ]
    wanted = environ.get("HTTP_RANGE")
    if wanted is not None and "HTTP_IF_RANGE" in environ and not range_still_valid(environ["HTTP_IF_RANGE"], facts):
        wanted = None
    try:
        span = None if wanted is None else requested_span(wanted, stat.size)
    except Unsatisfiable:
        raise DAVError(416, add_headers=[("Content-Range", f"bytes */{stat.size}")]) from None
    if span is None:
        return 200, [*headers, ("Content-Length", str(stat.size))], Span(0, stat.size)
    part = f"bytes {span.start}-{span.end - 1}/{stat.size}"
    return 206, [*headers, ("Content-Range", part), ("Content-Length", str(span.length))], span


def content_type(name: str) -> str:
    """Guess the media type from the name alone."""
    return _type_of_suffix(name.rpartition(".")[2].lower() if "." in name else "")


@functools.lru_cache(maxsize=1024)
def _type_of_suffix(suffix: str) -> str:
    return mimetypes.guess_type(f"x.{suffix}", strict=False)[0] or "application/octet-stream"


@functools.lru_cache(maxsize=8192)
def http_date(seconds: int) -> str:
    """Give Unix seconds as an HTTP date; one outside the years 1970 to 9999 is shown as the nearest."""
    return formatdate(min(max(seconds, 0), LAST_SECOND), usegmt=True)
