"""What the backend decides before anything is sent: no directory is there to be asked in these tests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auth_backends.api import (
    Account,
    AttemptLimit,
    LockingBackend,
    NotMine,
    Password,
    PublicKey,
    Reason,
    Rejected,
    Unavailable,
)
from auth_backends.ldap.backend import LdapBackend
from config.ldap import LdapProvider, Vendor
from storage.database.errors import StoreUnavailable
from storage.database.records import Identity, Method, Status, User
from tests.support.directories.judges import attempt

PROVIDER = LdapProvider.model_validate(
    {
        "hosts": ("localhost:1",),
        "vendor": Vendor.OPENLDAP,
        "base_dn": "dc=lab,dc=test",
        "bind_user": "cn=svc,dc=lab,dc=test",
        "bind_password": "x",
        "timeout_s": 1,
    }
)
USER = User("1", "alice", Method.LDAP, Status.ACTIVE, epoch=1, home="alice", provider="corp")
LINK = Identity("1", "corp", "4711")


def backend(link: Identity | None = LINK, provider: LdapProvider | None = PROVIDER) -> LdapBackend:
    return LdapBackend(lambda name: provider if name == "corp" else None, lambda *_: link)


@pytest.mark.parametrize(
    "account",
    [
        Account(replace(USER, method=Method.LOCAL)),
        Account(replace(USER, method=Method.SAML)),
        Account(replace(USER, provider=None)),
        Account(replace(USER, provider="")),
        Account(replace(USER, provider="another")),
    ],
)
def test_not_mine(account: Account) -> None:
    """Another method, no provider, or one that is not configured (any more)."""
    assert isinstance(backend().verify(attempt("alice", "password"), account), NotMine)
    assert backend().limit(account) == AttemptLimit(2, 600.0)


def test_other_credentials_are_not_mine() -> None:
    """Passwords only: a key never reaches a directory (K5)."""
    key = replace(attempt("alice", "x"), credential=PublicKey("alice", "ssh-ed25519", b"blob"))

    assert isinstance(backend().verify(key, Account(USER)), NotMine)
    assert backend().accepts == {Password}
    assert isinstance(backend(), LockingBackend)


@pytest.mark.parametrize("link", [None, replace(LINK, external_id="")])
def test_not_linked(link: Identity | None) -> None:
    """Without an immutable id nobody is looked for: names can be anybody's."""
    assert Rejected(Reason.NOT_LINKED) == backend(link).verify(attempt("alice", "password"), Account(USER))


@pytest.mark.parametrize("password", ["", " ", "\t", "\u00ad", "a\0b", "x" * 1025])
def test_unusable(password: str) -> None:
    """Refused here, whatever a directory would say."""
    assert Rejected(Reason.UNUSABLE_PASSWORD) == backend().verify(attempt("alice", password), Account(USER))


def test_break_glass() -> None:
    """Never the directory's business, whatever the row says (L11)."""
    account = Account(replace(USER, break_glass=True))

    assert Rejected(Reason.BREAK_GLASS_NOT_HERE) == backend().verify(attempt("alice", "password"), account)


def test_nobody_there() -> None:
    """A directory that cannot be reached is no verdict; its name is told, and not the password."""
    with_nobody = backend()
    verdict = with_nobody.verify(attempt("alice", "s3cret-text"), Account(USER))
    limit = with_nobody.limit(Account(USER))
    with_nobody.spend(attempt("alice", "s3cret-text"))
    with_nobody.close()

    assert isinstance(verdict, Unavailable)
    assert "corp" in verdict.detail
    assert "s3cret-text" not in verdict.detail
    assert limit == AttemptLimit(2, 600.0)


def test_a_store_that_cannot_tell() -> None:
    """Its error is the broker's to judge; the limit is never an error."""

    def fails(*_: object) -> None:
        raise StoreUnavailable("down")

    for broken in (LdapBackend(fails, lambda *_: LINK), LdapBackend(lambda _: PROVIDER, fails)):
        with pytest.raises(StoreUnavailable):
            broken.verify(attempt("alice", "password"), Account(USER))
        assert broken.limit(Account(USER)) == AttemptLimit(2, 600.0)
