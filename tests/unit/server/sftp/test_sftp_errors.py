"""The table from StorageError to SFTP status."""

from __future__ import annotations

import pytest
from asyncssh import constants
from asyncssh.sftp import SFTPFailure, SFTPNoSuchFile

from server.sftp.errors import STATUS, sftp_error
from storage.files import errors

V3_LAST = 8  # SSH_FX_OP_UNSUPPORTED


def all_kinds() -> list[type[errors.StorageError]]:
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.StorageError)]


@pytest.mark.parametrize("kind", all_kinds())
def test_every_class_is_mapped(kind: type[errors.StorageError]) -> None:
    """A new error class fails here until somebody has chosen its status."""
    assert kind in STATUS


@pytest.mark.parametrize("kind", all_kinds())
def test_the_client_reads_the_public_sentence(kind: type[errors.StorageError]) -> None:
    """The detail stays in the log, and the code that goes over a v3 wire is one that v3 has."""
    error = sftp_error(kind("/real/path and more"))
    sent = int.from_bytes(error.encode(3)[:4], "big")

    assert error.reason == kind.public
    assert 2 <= sent <= V3_LAST


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.NotFound, constants.FX_NO_SUCH_FILE),
        (errors.PermissionDenied, constants.FX_PERMISSION_DENIED),
        (errors.Unsupported, constants.FX_OP_UNSUPPORTED),
        (errors.QuotaExceeded, constants.FX_FAILURE),
        (errors.AlreadyExists, constants.FX_FAILURE),
        (errors.NotADirectory, constants.FX_NO_SUCH_FILE),
    ],
)
def test_what_a_version_3_client_gets(kind: type[errors.StorageError], status: int) -> None:
    """Codes that v3 lacks become FAILURE with their sentence."""
    assert int.from_bytes(sftp_error(kind()).encode(3)[:4], "big") == status


def test_a_subclass_of_a_backend_gets_its_ancestors_status() -> None:
    """Plug-ins may bring finer classes."""

    class BucketGone(errors.NotFound):
        """A plug-in's own."""

    assert sftp_error(BucketGone()).code == constants.FX_NO_SUCH_FILE


def test_an_unexpected_exception_says_nothing() -> None:
    """Neither its text nor its class reaches the client."""
    error = sftp_error(ValueError("secret"))

    assert isinstance(error, SFTPFailure)
    assert error.reason == errors.StorageError.public


def test_an_sftp_error_stays_as_it_is() -> None:
    """What a request of ours raises on purpose."""
    error = SFTPNoSuchFile("none")

    assert sftp_error(error) is error
