"""From StorageError to an FTP reply: one table."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from storage.files import errors


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply on the control channel (RFC 959 section 4.2); ``code`` has three digits."""

    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


# 4yz: try the same again later. 5yz: do not. 553: the name is the problem. 552: over quota.
REPLY_CODES: dict[type[errors.StorageError], int] = {
    errors.StorageError: 451,
    errors.InvalidPath: 553,
    errors.NameTooLong: 553,
    errors.NotFound: 550,
    errors.AlreadyExists: 550,
    errors.NotADirectory: 550,
    errors.IsADirectory: 550,
    errors.DirectoryNotEmpty: 550,
    errors.PermissionDenied: 550,
    errors.Unsupported: 550,
    errors.CrossesMounts: 553,
    errors.Locked: 450,
    errors.QuotaExceeded: 552,
    errors.NoSpace: 452,
    errors.TooManyOpen: 450,
    errors.UploadFailed: 451,
    errors.SessionEnded: 421,
    errors.StorageUnavailable: 451,
}


def trace_of(error: BaseException | None) -> str:
    """Give an exception's traceback as plain text for the log.

    Not ``exc_info``: some renderers then show local variables, and here one of them may be a password.
    """
    return "".join(traceback.format_exception(error)) if error is not None else ""


def reply_for(error: errors.StorageError) -> Reply:
    """Give the reply for a failed file operation: its class decides, its detail never shows."""
    for kind in type(error).__mro__:
        code = REPLY_CODES.get(kind)
        if code is not None:
            return Reply(code, type(error).public)
    return Reply(REPLY_CODES[errors.StorageError], errors.StorageError.public)
