"""No front end meets a StorageError that it has no words for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import pytest

import server.ftps.errors
import server.sftp.errors
import server.webdav.errors
from storage.files.errors import StorageError
from tests.support.sources import modules

TABLES: dict[str, Mapping[type[StorageError], int]] = {
    "sftp": server.sftp.errors.STATUS,
    "ftps": server.ftps.errors.REPLY_CODES,
    "webdav": server.webdav.errors.STATUS,
}


def every_error() -> set[type[StorageError]]:
    """Give StorageError and all its subclasses in shipped modules of storage."""
    for name in modules():
        if name.startswith("storage.files.") and not name.endswith(".contract"):
            importlib.import_module(name)
    found: set[type[StorageError]] = {StorageError}
    waiting: list[type[StorageError]] = [StorageError]
    while waiting:
        children = [child for child in waiting.pop().__subclasses__() if child.__module__.startswith("storage.")]
        found.update(children)
        waiting.extend(children)
    return found


@pytest.mark.parametrize("front_end", sorted(TABLES))
def test_every_error_is_in_the_table(front_end: str) -> None:
    """Each class has its own line, so that nobody's new error is reported as an internal one."""
    missing = {error.__name__ for error in every_error().difference(TABLES[front_end])}

    assert missing == set()


@pytest.mark.parametrize("front_end", sorted(TABLES))
def test_no_error_is_reported_as_success(front_end: str) -> None:
    """SFTP's 0, FTP's and HTTP's codes below 400 would tell the client that all went well."""
    lowest = 1 if front_end == "sftp" else 400

    assert {error.__name__: code for error, code in TABLES[front_end].items() if code < lowest} == {}


def test_every_error_has_words_for_the_client() -> None:
    """A code of its own for the log, and a plain sentence without a path."""
    errors = every_error()

    assert len({error.code for error in errors}) == len(errors)
    assert [error.__name__ for error in errors if not error.public.endswith(".") or "/" in error.public] == []
