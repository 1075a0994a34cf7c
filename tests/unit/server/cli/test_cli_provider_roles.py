"""``quaymaster provider map-role`` and ``unmap-role``: admins by group, each confirmed by an admin."""

from __future__ import annotations

import pytest

from config.ldap import LdapProvider
from config.providers import made_from
from server.cli import directories
from server.cli.output import Failure
from tests.support.cli import Cli
from tests.unit.server.cli.conftest import Kept

CREW = directories.Group("6631f628-7d3f-1041-893c-134ac940acca", "cn=crew,ou=groups,dc=lab,dc=test", "crew", "2")


@pytest.fixture
def crew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory has one group, whoever asks."""

    def found(_name: str, _provider: LdapProvider, **wanted: str | None) -> directories.Group:
        assert wanted in ({"external_id": CREW.external_id, "called": None}, {"external_id": None, "called": "crew"})
        return CREW

    monkeypatch.setattr(directories, "group", found)


@pytest.mark.usefixtures("crew")
@pytest.mark.parametrize("named", ["--group=crew", f"--group-id={CREW.external_id.upper()}"])
def test_a_role_is_mapped_by_the_immutable_id(cli: Cli, keep: Kept, named: str) -> None:
    """Id, place and number of members are shown before it is confirmed; ``show`` lists who confirmed it."""
    keep()

    said = cli.run("provider", "map-role", "corp", named, "--role=read-only-admin", "--yes", "--json")
    (role,) = cli.ok("provider", "show", "corp")["roles"]

    assert said.data == {
        "provider": "corp",
        "group": "crew",
        "external_id": CREW.external_id,
        "dn": CREW.dn,
        "members": "2",
        "role": "read-only-admin",
    }
    assert f"Group crew, 2 members, at {CREW.dn}, id {CREW.external_id}" in said.err
    assert (role["external_id"], role["role"]) == (CREW.external_id, "read-only-admin")
    assert role["confirmed_by"].startswith("cli:")


@pytest.mark.usefixtures("crew")
def test_a_role_must_be_confirmed(cli: Cli, keep: Kept) -> None:
    """A script that does not say --yes gives no role to anybody."""
    keep()

    said = cli.run("provider", "map-role", "corp", "--group=crew", "--role=admin")

    assert said.code == 1
    assert "--yes" in said.err
    assert cli.ok("provider", "show", "corp")["roles"] == []


def test_a_group_is_named_in_one_way(cli: Cli, keep: Kept) -> None:
    """Not at all, and twice, are mistakes; a role that no group can give is wrong usage."""
    keep()

    assert cli.run("provider", "map-role", "corp", "--role=admin", "--yes").code == 1
    assert cli.run("provider", "map-role", "corp", "--role=admin", "--group=a", "--group-id=b", "--yes").code == 1
    assert cli.run("provider", "map-role", "corp", "--role=user", "--group=a", "--yes").code == 2


@pytest.mark.usefixtures("crew")
def test_a_role_is_taken_back(cli: Cli, keep: Kept) -> None:
    """By the group's id; an id that gives no role is told with those that do."""
    keep()
    cli.ok("provider", "map-role", "corp", "--group=crew", "--role=admin", "--yes")

    unknown = cli.run("provider", "unmap-role", "corp", "--group-id=x")
    ended = cli.ok("provider", "unmap-role", "corp", f"--group-id={CREW.external_id}")

    assert unknown.code == 1
    assert f"{CREW.external_id} (crew)" in unknown.err
    assert (ended["role"], ended["role_before"]) == (None, "admin")
    assert cli.ok("provider", "show", "corp")["roles"] == []


def test_an_unreachable_directory_is_told(cli: Cli, keep: Kept) -> None:
    """No group is mapped that was not looked up."""
    keep()

    said = cli.run("provider", "map-role", "corp", "--group=crew", "--role=admin", "--yes")

    assert said.code == 1
    assert "The directory corp cannot be asked." in said.err
    assert cli.ok("provider", "show", "corp")["roles"] == []


@pytest.mark.parametrize(
    ("vendor", "typed", "kept"),
    [
        ("active-directory", "{6B1F2A9E-3C4D-4E5F-8A9B-0C1D2E3F4A5B}", "6b1f2a9e-3c4d-4e5f-8a9b-0c1d2e3f4a5b"),
        ("openldap", " 6631F628-7D3F-1041-893C-134AC940ACCA ", "6631f628-7d3f-1041-893c-134ac940acca"),
        ("389ds", "3B7D1A82-1DD211B2-80F5DA4B-6D4E0000", "3b7d1a82-1dd211b2-80f5da4b-6d4e0000"),
        ("openldap", "Emp0042", "Emp0042"),
        ("active-directory", "Emp0042", None),
        ("openldap", "", None),
        ("openldap", "a\x1bb", None),
    ],
)
def test_ids_are_kept_in_one_form(vendor: str, typed: str, kept: str | None) -> None:
    """As the directory's own answers are read; what can be no id there is refused."""
    provider = made_from(
        LdapProvider,
        {
            "hosts": ["dc1"],
            "vendor": vendor,
            "base_dn": "dc=lab,dc=test",
            "bind_user": "cn=svc,dc=lab,dc=test",
            "bind_password": "x",
        },
    )

    if kept is None:
        with pytest.raises(Failure):
            directories.canonical_id(provider, typed)
    else:
        assert directories.canonical_id(provider, typed) == kept
