"""Everything that a file operation may answer instead of a result.

    StorageError
    |-- InvalidPath            the client's text is no path (NUL, not UTF-8, "..")
    |   `-- NameTooLong
    |-- NotFound
    |-- AlreadyExists
    |-- NotADirectory
    |-- IsADirectory
    |-- DirectoryNotEmpty
    |-- PermissionDenied       no right, or the place is outside every mount
    |-- Unsupported            this backend or this site does not do that
    |-- CrossesMounts          rename between two mounts
    |-- Locked                 somebody else's WebDAV lock or a conflicting upload
    |-- QuotaExceeded          the mount's own limit
    |-- NoSpace                the disk's limit
    |-- TooManyOpen            the session's limit of open files
    |-- UploadFailed           an earlier write of this upload failed; it can only be aborted
    |-- SessionEnded           the session was revoked; nothing more is served
    `-- StorageUnavailable     cannot tell: the backend failed; try again later

Front ends map each class in one table; an architecture test checks that none is missing.
"""

from __future__ import annotations


class StorageError(Exception):
    """A file operation was refused or failed; nothing was changed unless the class says so."""

    code = "storage.error"
    public = "The operation failed."  # may be shown to the client; ``detail`` goes to the log only

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.public)
        self.detail = detail


class InvalidPath(StorageError):
    """The client's path cannot name anything here; no disk was touched."""

    code = "storage.invalid_path"
    public = "This name is not allowed."


class NameTooLong(InvalidPath):
    """A name is over 255 bytes or the path over 4096 bytes of UTF-8."""

    code = "storage.name_too_long"
    public = "This name is too long."


class NotFound(StorageError):
    """Nothing is there."""

    code = "storage.not_found"
    public = "No such file or directory."


class AlreadyExists(StorageError):
    """Something is there and the operation must not replace it."""

    code = "storage.already_exists"
    public = "A file or directory of this name already exists."


class NotADirectory(StorageError):
    """A directory was needed."""

    code = "storage.not_a_directory"
    public = "Not a directory."


class IsADirectory(StorageError):
    """A file was needed."""

    code = "storage.is_a_directory"
    public = "This is a directory."


class DirectoryNotEmpty(StorageError):
    """Only an empty directory can be removed or replaced."""

    code = "storage.directory_not_empty"
    public = "The directory is not empty."


class PermissionDenied(StorageError):
    """The user lacks the right, or the place is outside every mount."""

    code = "storage.permission_denied"
    public = "Permission denied."


class Unsupported(StorageError):
    """This backend, or this site's policy, does not offer the operation."""

    code = "storage.unsupported"
    public = "This operation is not supported here."


class CrossesMounts(StorageError):
    """A rename would leave its mount; the client must copy and delete."""

    code = "storage.crosses_mounts"
    public = "Cannot move between these folders; copy instead."


class Locked(StorageError):
    """Somebody else holds a lock on this place."""

    code = "storage.locked"
    public = "The file is locked by somebody else."


class QuotaExceeded(StorageError):
    """The mount's quota would be exceeded; nothing was written."""

    code = "storage.quota"
    public = "No space left in this folder."


class NoSpace(StorageError):
    """The disk is full; the upload can only be aborted."""

    code = "storage.no_space"
    public = "No space left on the server."


class TooManyOpen(StorageError):
    """The session has as many files open as it may."""

    code = "storage.too_many_open"
    public = "Too many open files in this session."


class UploadFailed(StorageError):
    """An earlier write of this upload failed, so it cannot be committed."""

    code = "storage.upload_failed"
    public = "The upload failed; send the file again."


class SessionEnded(StorageError):
    """The session was revoked while it ran; nothing more is served to it."""

    code = "storage.session_ended"
    public = "Your session has ended."


class StorageUnavailable(StorageError):
    """Cannot tell: the storage backend failed. Nothing is known to have changed."""

    code = "storage.unavailable"
    public = "The storage is not available right now; try again later."
