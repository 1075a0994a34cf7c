"""The examples of the how-tos work as they stand on the page."""

from __future__ import annotations

import re
import time
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from auth_backends.api import (
    Accepted,
    Account,
    ApiKeyToken,
    Attempt,
    AuthBackend,
    Credential,
    FrontEnd,
    NotMine,
    Password,
    Reason,
    Rejected,
    Secret,
    Unavailable,
    Verdict,
)
from storage.database.records import Method, Status, User
from storage.files.api import Dependencies, Filesystem, WriteMode
from storage.files.contract import FilesystemContract
from storage.files.errors import PermissionDenied
from storage.files.path import VirtualPath

HOWTO = Path(__file__).parents[2] / "docs/howto"


def example(page: str) -> Any:
    """Run the first Python block of a page and give the names that it defines."""
    block = re.search(r"```python\n(.*?)```", (HOWTO / page).read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    names: dict[str, Any] = {"__name__": page}
    exec(compile(block[1], page, "exec"), names)  # noqa: S102 - our own documentation
    return SimpleNamespace(**{name: value for name, value in names.items() if not name.startswith("__")})


STORAGE = example("add-a-storage-backend.md")
AUTH = example("add-an-auth-backend.md")


class TestStorageExample(FilesystemContract):
    """The example backend passes the shipped contract."""

    @pytest.fixture
    def fs(self, tmp_path: Path) -> Filesystem:
        backend: Filesystem = STORAGE.build({"root": str(tmp_path)}, Dependencies())
        return backend

    def test_programs_are_refused(self, fs: Filesystem) -> None:
        """It does what the page says."""
        with pytest.raises(PermissionDenied):
            fs.open_writer(VirtualPath.parse("/setup.EXE"), WriteMode.REPLACE)


def test_every_reason_is_explained() -> None:
    """Whatever the audit trail says, the page on sign-ins says what to do about it."""
    page = (HOWTO / "why-cant-she-log-in.md").read_text(encoding="utf-8")

    assert [reason for reason in Reason if reason is not Reason.GRANTED and f"`{reason}`" not in page] == []


def verdict(credential: Credential, method: Method = Method.LDAP, *, broken: bool = False) -> Verdict:
    def load() -> dict[str, str]:
        if broken:
            raise OSError("gone")
        return {"anna": AUTH.TableBackend(dict)._digest("right")}

    backend: AuthBackend = AUTH.TableBackend(load)
    user = User(id="1", name="anna", method=method, status=Status.ACTIVE, epoch=1, home="anna")
    attempt = Attempt("1", FrontEnd.SFTP, credential, ip_address("192.0.2.1"), time.time())
    backend.spend(attempt)
    return backend.verify(attempt, Account(user))


def test_the_auth_example_gives_each_of_the_four_answers() -> None:
    """Right, wrong, not its own, cannot tell."""
    right, wrong = Password("anna", Secret("right")), Password("anna", Secret("wrong"))

    assert isinstance(verdict(right), Accepted)
    assert isinstance(verdict(wrong), Rejected)
    assert isinstance(verdict(Password("anna", Secret(""))), Rejected)
    assert isinstance(verdict(right, Method.LOCAL), NotMine)
    assert isinstance(verdict(ApiKeyToken("anna", Secret("qm_x"))), NotMine)
    assert isinstance(verdict(right, broken=True), Unavailable)
