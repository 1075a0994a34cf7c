"""From what the core answers to what SFTP says: one table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import structlog
from asyncssh import constants, sftp
from asyncssh.sftp import SFTPError

from storage.files import errors

log = structlog.get_logger(__name__)

# Codes above 8 exist from SFTP v4 on; asyncssh sends them to a v3 client as FAILURE with the same
# text (NOT_A_DIRECTORY as NO_SUCH_FILE), so the table stays exact and the wire stays v3.
STATUS: Mapping[type[errors.StorageError], int] = MappingProxyType(
    {
        errors.StorageError: constants.FX_FAILURE,
        errors.InvalidPath: constants.FX_INVALID_FILENAME,
        errors.NameTooLong: constants.FX_INVALID_FILENAME,
        errors.NotFound: constants.FX_NO_SUCH_FILE,
        errors.AlreadyExists: constants.FX_FILE_ALREADY_EXISTS,
        errors.NotADirectory: constants.FX_NOT_A_DIRECTORY,
        errors.IsADirectory: constants.FX_FILE_IS_A_DIRECTORY,
        errors.DirectoryNotEmpty: constants.FX_DIR_NOT_EMPTY,
        errors.PermissionDenied: constants.FX_PERMISSION_DENIED,
        errors.Unsupported: constants.FX_OP_UNSUPPORTED,
        errors.CrossesMounts: constants.FX_FAILURE,
        errors.Locked: constants.FX_LOCK_CONFLICT,
        errors.QuotaExceeded: constants.FX_QUOTA_EXCEEDED,
        errors.NoSpace: constants.FX_NO_SPACE_ON_FILESYSTEM,
        errors.TooManyOpen: constants.FX_FAILURE,
        errors.UploadFailed: constants.FX_FAILURE,
        errors.SessionEnded: constants.FX_CONNECTION_LOST,
        errors.StorageUnavailable: constants.FX_FAILURE,
    }
)


def sftp_error(error: Exception) -> SFTPError:
    """Give the status for a failed request; what is not a StorageError is logged and says nothing.

    The client sees the class's ``public`` sentence, never ``detail``, a real path or a traceback.
    """
    match error:
        case SFTPError():
            return error
        case errors.StorageError():
            log.debug("sftp.refused", code=error.code, detail=error.detail)
            return SFTPError(_status(type(error)), error.public)
        case _:
            log.error("sftp.unexpected", exc_info=error)
            return sftp.SFTPFailure(errors.StorageError.public)


def _status(kind: type[errors.StorageError]) -> int:
    """Look a class up, or its nearest ancestor in the table (a backend may add subclasses)."""
    return next(STATUS[ancestor] for ancestor in kind.__mro__ if ancestor in STATUS)
