"""The providers of a site: from the file and from the database, with secrets that only the site key opens."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from config.ldap import LdapProvider
from config.settings import Settings
from server.providers import FRESH_S, Origin, ProviderBook, put_provider
from storage.database.changes import CreateUser, DeleteProvider, MapRole, PutProvider
from storage.database.records import Method, Role
from storage.database.store import Store, StoreUnavailable

SECRET = "s3rvice-Passw0rd"


def directory(host: str = "dc1", **settings: object) -> LdapProvider:
    return LdapProvider.model_validate(
        {
            "hosts": [host],
            "vendor": "openldap",
            "base_dn": "dc=corp",
            "bind_user": "cn=svc,dc=corp",
            "bind_password": SECRET,
        }
        | settings
    )


class Clock:
    """A monotonic clock that a test turns."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path)


def test_a_kept_provider_comes_back_as_it_was(sqlite_store: Store, settings: Settings) -> None:
    """Every setting and the secret; the database holds the secret sealed only."""
    kept = directory(connections=3, groups_required=["staff*"], ca_file="/etc/ca.pem")
    sqlite_store.apply(put_provider("corp", kept, settings), actor="test")

    assert kept == ProviderBook(sqlite_store, settings).ldap("corp")
    row = sqlite_store.providers.by_name("corp")
    assert row is not None
    assert SECRET not in repr(row)
    assert SECRET not in repr(put_provider("corp", kept, settings))


def test_the_files_provider_wins(sqlite_store: Store, settings: Settings) -> None:
    """Both are there: the file is what the operator sees first."""
    sqlite_store.apply(put_provider("corp", directory("of-database"), settings), actor="test")
    sqlite_store.apply(put_provider("lab", directory("lab"), settings), actor="test")
    book = ProviderBook(sqlite_store, settings.model_copy(update={"ldap": {"corp": directory("of-file")}}))

    corp = book.ldap("corp")
    assert corp is not None
    assert corp.hosts == ("of-file",)
    assert [(one.name, one.origin) for one in book.listed()] == [("corp", Origin.FILE), ("lab", Origin.DATABASE)]
    assert book.any_directory()


def test_a_change_is_noticed_within_a_second_and_not_read_for_each_sign_in(
    sqlite_store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also that a provider is gone, or that there is one now."""
    clock = Clock()
    book = ProviderBook(sqlite_store, settings, monotonic=clock)
    before = book.ldap("corp")
    sqlite_store.apply(put_provider("corp", directory("one"), settings), actor="test")
    clock.now += FRESH_S
    first = book.ldap("corp")
    asked: list[str] = []
    real = sqlite_store.providers.by_name
    monkeypatch.setattr(sqlite_store.providers, "by_name", lambda name: asked.append(name) or real(name))
    same = [book.ldap("corp") for _ in range(5)]
    clock.now += FRESH_S
    again = book.ldap("corp")
    sqlite_store.apply(put_provider("corp", directory("two"), settings), actor="test")
    clock.now += FRESH_S
    second = book.ldap("corp")
    sqlite_store.apply(DeleteProvider("corp"), actor="test")
    clock.now += FRESH_S

    assert before is None
    assert first is not None
    assert all(one is first for one in [*same, again])
    assert asked == ["corp", "corp"]
    assert second is not None
    assert (first.hosts, second.hosts) == (("one",), ("two",))
    assert book.ldap("corp") is None


def test_without_its_site_key_nobody_can_tell(sqlite_store: Store, settings: Settings) -> None:
    """The directory is not asked with a wrong secret; the list says what is the matter."""
    sqlite_store.apply(put_provider("corp", directory(), settings), actor="test")
    settings.site_key_file.unlink()
    book = ProviderBook(sqlite_store, settings)
    with pytest.raises(StoreUnavailable, match="site key"):
        book.ldap("corp")

    (listed,) = book.listed()
    assert listed.provider is None
    assert "site key" in listed.problem


def test_kept_settings_of_a_later_release_say_so(sqlite_store: Store, settings: Settings) -> None:
    """An option that this release does not know, or a value out of range."""
    good = put_provider("corp", directory(), settings)
    sqlite_store.apply(PutProvider("corp", "ldap", {**good.options, "magic": 1}, good.secrets), actor="test")

    (listed,) = ProviderBook(sqlite_store, settings).listed()
    assert "magic" in listed.problem
    assert SECRET not in listed.problem


def test_a_provider_of_another_kind_is_no_directory(sqlite_store: Store, settings: Settings) -> None:
    """Its name is taken all the same."""
    sqlite_store.apply(PutProvider("entra", "saml", {}, {}), actor="test")
    book = ProviderBook(sqlite_store, settings)

    assert book.ldap("entra") is None
    assert book.listed() == []
    assert not book.any_directory()


def test_a_second_site_key_is_never_made(sqlite_store: Store, settings: Settings, tmp_path: Path) -> None:
    """Another machine without the key, or with another one, keeps nothing; with the key it does."""
    sqlite_store.apply(put_provider("corp", directory(), settings), actor="test")
    kept = sqlite_store.providers.list()
    elsewhere = Settings(data=tmp_path / "other")
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        put_provider("lab", directory(), elsewhere, kept)
    assert not elsewhere.site_key_file.exists()
    put_provider("lab", directory(), elsewhere)  # a site of its own
    with pytest.raises(StoreUnavailable, match=r"another key .*corp"):
        put_provider("lab", directory(), elsewhere, kept)

    assert put_provider("lab", directory(), settings, kept).name == "lab"


def test_only_the_kept_settings_of_a_shadowed_provider_go(sqlite_store: Store, settings: Settings) -> None:
    """Its users and roles are those of the file's provider."""
    sqlite_store.apply(put_provider("corp", directory(), settings), actor="test")
    sqlite_store.apply(MapRole("corp", "g", Role.ADMIN, "admins"), actor="test")
    sqlite_store.apply(CreateUser("ann", Method.LDAP, provider="corp"), actor="test")
    sqlite_store.apply(DeleteProvider("corp", shadowed=True), actor="test")

    assert sqlite_store.providers.by_name("corp") is None
    assert len(sqlite_store.providers.roles("corp")) == 1


def test_names_of_strangers_leave_nothing_behind(sqlite_store: Store, settings: Settings) -> None:
    """Whoever asks for a sign-in at a provider that is none makes no worker grow."""
    book = ProviderBook(sqlite_store, settings)
    book.sso("warm")
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    found = {book.sso(f"{number}-" + "n" * 2000) for number in range(1000)}
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    assert found == {None}
    assert grown < 500_000
