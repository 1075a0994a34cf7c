"""PUT: begun, fed and finished by the endpoint, so that no thread ever waits for a client.

WsgiDAV's own PUT takes whatever came before the connection ended for the whole file
(4.4.0, RequestServer._stream_data). Here nothing is published unless every promised byte is there.
"""

from __future__ import annotations

from dataclasses import dataclass

from wsgidav.dav_error import DAVError

from server.webdav.guards import check_conditions, check_member_change, check_unlocked
from server.webdav.places import place_of
from server.webdav.ranges import SIZE, MalformedContentRange, resumed_span
from server.webdav.request import DavRequest, Environ, stat_or_none
from storage.files.api import Stat, WriteMode
from storage.files.errors import AlreadyExists, IsADirectory
from storage.files.uploads import Upload

MAX_MTIME_S = 253_402_300_800  # the year 10000, which no date of HTTP can show


@dataclass(slots=True)
class Put:
    """One upload in flight. All methods block and are called one after the other.

    ``expected`` is the size that the body must have, or None if it is chunked without a promise.
    """

    request: DavRequest
    environ: Environ
    upload: Upload
    is_new: bool
    start: int
    expected: int | None
    modified_ns: int | None
    received: int = 0

    def write(self, data: bytes) -> None:
        """Take the next bytes of the body. Raises DAVError 400 if there are more than promised."""
        if self.expected is not None and self.received + len(data) > self.expected:
            raise DAVError(400, "The body is longer than announced.")
        self.upload.write_at(self.start + self.received, data)
        self.received += len(data)

    def finish(self) -> tuple[int, list[tuple[str, str]]]:
        """Publish the file and give status and headers; the caller has seen the proper end of the body.

        Locks and preconditions are judged again: they may have changed while the body came in. From there to
        the commit no other WebDAV upload is published at this place.
        """
        if self.expected is not None and self.received != self.expected:
            raise DAVError(400, "The body is shorter than announced.")
        with self.request.turns.at(place_of(self.request, self.request.path).reference):
            return self._publish()

    def _publish(self) -> tuple[int, list[tuple[str, str]]]:
        request = self.request
        present = stat_or_none(request.workspace, request.path)
        check_conditions(request, self.environ, present)
        _check_locks(request, self.environ, present)
        if self.start and (present is None or present.size != self.start):
            raise MalformedContentRange("The file has another size by now.")
        if self.modified_ns is not None:
            self.upload.set_times(self.modified_ns, None)
        try:
            stat = self.upload.commit()
        except AlreadyExists:
            raise DAVError(412, "The file exists by now.") from None
        if self.is_new:  # what was here before was removed by another way than WebDAV
            place = place_of(request, request.path)
            request.properties.forget(place.tree, place.key)
        headers = [("ETag", f'"{stat.version}"')]
        if self.modified_ns is not None:
            headers.append(("X-OC-Mtime", "accepted"))
        return (201 if self.is_new else 204), headers

    def abort(self) -> None:
        """Throw the upload away; what was there stays."""
        self.upload.abort()


def begin(request: DavRequest, environ: Environ, declared: int | None) -> Put:
    """Check everything that can be checked without the body and open the upload.

    Raises DAVError, StorageError, MalformedContentRange, MalformedIf or StoreError; nothing is left behind then.
    """
    if "HTTP_CONTENT_ENCODING" in environ:
        raise DAVError(415, "An encoded body cannot be stored.")
    modified_ns = _modified_ns(environ.get("HTTP_X_OC_MTIME"))
    present = stat_or_none(request.workspace, request.path)
    if request.path.is_root or (present is not None and present.is_directory):
        raise DAVError(405, "A folder cannot be overwritten by a file.")
    parent = stat_or_none(request.workspace, request.path.parent)
    if parent is None or not parent.is_directory:
        raise DAVError(409, "The folder does not exist.")
    check_conditions(request, environ, present)
    _check_locks(request, environ, present)

    start, expected = _extent(environ, present, declared)
    mode = WriteMode.RESUME if start else WriteMode.REPLACE
    if environ.get("HTTP_IF_NONE_MATCH", "").strip() == "*":
        mode = WriteMode.CREATE
    try:
        upload = request.workspace.open_writer(request.path, mode)
    except AlreadyExists:
        raise DAVError(412, "The file exists.") from None
    except IsADirectory:
        raise DAVError(405, "A folder cannot be overwritten by a file.") from None
    try:
        _prepare(upload, start, expected)
    except BaseException:
        upload.abort()
        raise
    return Put(request, environ, upload, present is None, start, expected, modified_ns)


def _prepare(upload: Upload, start: int, expected: int | None) -> None:
    if start and upload.size != start:
        raise MalformedContentRange("The file has another size by now.")
    if expected is not None:
        upload.expect(start + expected)  # what cannot fit is refused before the client sends it


def _check_locks(request: DavRequest, environ: Environ, present: Stat | None) -> None:
    if present is None:
        check_member_change(request, environ, request.path)
    else:
        check_unlocked(request, environ, request.path)


def _extent(environ: Environ, present: Stat | None, declared: int | None) -> tuple[int, int | None]:
    """Give the offset at which the body begins and how many bytes it must have.

    Finder sends chunked bodies with their size in X-Expected-Entity-Length.
    """
    promised = environ.get("HTTP_X_EXPECTED_ENTITY_LENGTH", "").strip()
    expected = int(promised) if declared is None and SIZE.fullmatch(promised) else declared
    content_range = environ.get("HTTP_CONTENT_RANGE")
    if content_range is None:
        return 0, expected
    span = resumed_span(content_range)
    if span.start != (0 if present is None else present.size):
        raise MalformedContentRange("Content-Range must begin at the end of the present file.")
    if expected is not None and expected != span.length:
        raise MalformedContentRange("Content-Range and Content-Length disagree.")
    return span.start, span.length


def _modified_ns(header: str | None) -> int | None:
    """Read X-OC-Mtime: Unix seconds, with a fraction from some clients."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < MAX_MTIME_S:
        raise DAVError(400, "X-OC-Mtime must be Unix seconds.")
    whole, _, _ = header.partition(".")
    return int(whole) * 1_000_000_000 if whole.strip().isdigit() else int(seconds * 1_000_000_000)
