"""From what the core refuses to what HTTP answers: one table, and plain answers."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

import structlog
from wsgidav.dav_error import (
    DAVError,
    DAVErrorCondition,
    PRECONDITION_CODE_LockConflict,
    PRECONDITION_CODE_MissingLockToken,
)

from server.webdav.if_header import MalformedIf
from server.webdav.ranges import MalformedContentRange
from server.webdav.urls import BadDestination
from storage.database.locks import TooManyLocks
from storage.database.properties import PropertiesTooLarge
from storage.database.store import StoreError
from storage.files import errors as storage

log = structlog.get_logger(__name__)

RETRY_AFTER_S = 5

STATUS: Final[dict[type[storage.StorageError], int]] = {
    storage.StorageError: 500,
    storage.InvalidPath: 400,
    storage.NameTooLong: 414,
    storage.NotFound: 404,
    storage.AlreadyExists: 409,
    storage.NotADirectory: 409,
    storage.IsADirectory: 409,
    storage.DirectoryNotEmpty: 409,
    storage.PermissionDenied: 403,
    storage.Unsupported: 403,
    storage.CrossesMounts: 502,
    storage.Locked: 423,
    storage.QuotaExceeded: 507,
    storage.NoSpace: 507,
    storage.TooManyOpen: 503,
    storage.UploadFailed: 500,
    storage.SessionEnded: 401,
    storage.StorageUnavailable: 503,
}


def status_of(error: storage.StorageError) -> int:
    """Give the HTTP status of a refusal; a class that the table does not name answers as its nearest base."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def dav_error(error: Exception) -> DAVError:
    """Turn anything that a handler raised into what is answered; the unexpected is logged and becomes 500."""
    match error:
        case DAVError():
            return error
        case storage.StorageError():
            return _refusal(error)
        case StoreError():
            log.warning("webdav.store_failed", error=type(error).__name__)
            return DAVError(503, "The service is not available right now; try again later.", add_headers=_retry(503))
        case PropertiesTooLarge() | TooManyLocks() | MalformedIf() | MalformedContentRange():
            return DAVError(400 if isinstance(error, MalformedIf | MalformedContentRange) else 507, str(error))
        case BadDestination():
            return DAVError(error.status, str(error))
        case _:
            log.error("webdav.handler_failed", exc_info=error)
            return DAVError(500)


def _refusal(error: storage.StorageError) -> DAVError:
    status = status_of(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("webdav.storage_failed", code=error.code, detail=error.detail)
    return DAVError(status, error.public, add_headers=_retry(status))


def locked(hrefs: Iterable[str], *, token_missing: bool) -> DAVError:
    """Give 423 with the places whose locks are in the way (RFC 4918 section 16).

    ``token_missing``: a write came without the lock's token; otherwise a new lock conflicts.
    """
    condition = DAVErrorCondition(
        PRECONDITION_CODE_MissingLockToken if token_missing else PRECONDITION_CODE_LockConflict
    )
    for href in hrefs:
        condition.add_href(href)
    return DAVError(423, err_condition=condition)


def page_of(error: DAVError) -> tuple[str, bytes]:
    """Give content type and body: the XML condition if there is one, else a plain sentence without versions."""
    if error.err_condition is not None:
        return "application/xml; charset=utf-8", error.err_condition.as_string().encode()
    sentence = error.context_info or phrase(error.value)
    return "text/plain; charset=utf-8", f"{sentence}\n".encode()


def status_line(status: int) -> str:
    """Give the status with its phrase, as WSGI and multi-status bodies show it."""
    return f"{status} {phrase(status)}"


def phrase(status: int) -> str:
    """Give the standard phrase of a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Status"


def _retry(status: int) -> list[tuple[str, str]]:
    return [("Retry-After", str(RETRY_AFTER_S))] if status == HTTPStatus.SERVICE_UNAVAILABLE else []
