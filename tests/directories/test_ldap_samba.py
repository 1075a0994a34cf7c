"""Passwords at a real Active Directory domain controller (Samba)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from auth_backends.api import Accepted, Account, AttemptLimit, Reason
from auth_backends.ldap.connection import Scope
from auth_backends.ldap.directory import Directory
from auth_backends.ldap.vendors import external_id_of
from tests.support.directories.certificates import Authority
from tests.support.directories.judges import Judge
from tests.support.directories.samba import SambaAd
from tests.support.directories.sites import provider_for

pytestmark = pytest.mark.system

PASSWORD = "Str0ng-at-samba"


@pytest.fixture
def judge(samba_ad: SambaAd) -> Iterator[Judge]:
    with Judge(provider_for(samba_ad)) as made:
        yield made


def subject(samba: SambaAd, judge: Judge, name: str) -> Account:
    samba.create_user(name, PASSWORD)
    return judge.of_samba(samba, name)


@pytest.mark.parametrize("bind_user", ["dn", "upn", "domain"])
def test_right_and_wrong(bind_user: str, samba_ad: SambaAd, judge: Judge) -> None:
    r"""With the service account as a DN, as name@domain and as DOMAIN\name."""
    name = samba_ad.service_upn.partition("@")[0]
    forms = {"dn": samba_ad.service_dn, "upn": samba_ad.service_upn, "domain": f"CORP\\{name}"}
    judge.provider = provider_for(samba_ad, bind_user=forms[bind_user])
    account = judge.of_samba(samba_ad, "alice")

    assert isinstance(judge.verdict(account, samba_ad.password_of("alice")), Accepted)
    assert Reason.WRONG_PASSWORD is judge.reason(account, "wrong")


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        (Reason.DIRECTORY_DISABLED, SambaAd.disable),
        (Reason.DIRECTORY_EXPIRED, SambaAd.expire_account),
        (Reason.DIRECTORY_PASSWORD_MUST_CHANGE, SambaAd.must_change_password),
        (Reason.DIRECTORY_PASSWORD_EXPIRED, SambaAd.expire_password),
        (Reason.DIRECTORY_LOGON_HOURS, lambda ad, name: ad.set_logon_hours(name, none=True)),
        (Reason.DIRECTORY_WORKSTATION, lambda ad, name: ad.set_workstations(name, "PC1")),
    ],
)
def test_what_is_wrong_with_an_account(
    reason: Reason, change: Callable[[SambaAd, str], None], samba_ad: SambaAd, judge: Judge
) -> None:
    """Each sub-code of a right password is its own reason; a wrong one is only wrong (L8)."""
    account = subject(samba_ad, judge, f"ldap{reason.value[10:24]}".replace("_", "-"))
    before = judge.verdict(account, PASSWORD)
    change(samba_ad, account.user.name)

    assert isinstance(before, Accepted)
    assert reason is judge.reason(account, PASSWORD)
    assert Reason.WRONG_PASSWORD is judge.reason(account, "wrong")


def test_locked(samba_ad: SambaAd, judge: Judge) -> None:
    """A settings object that can be read gives the limit; within it the account stays open, beyond it 775 is told."""
    account = subject(samba_ad, judge, "ldaplocked")
    settings = samba_ad.set_pso("ldaplocked", 3)
    samba_ad.allow_reading_psos()
    limit = judge.limit(account)
    assert limit is not None
    guesses = [judge.reason(account, "wrong") for _ in range(limit.max_failures)]
    still_open = judge.verdict(account, PASSWORD)
    beyond = [judge.reason(account, "wrong") for _ in range(3)]

    assert settings
    assert limit.max_failures == 2
    assert guesses == [Reason.WRONG_PASSWORD] * 2
    assert isinstance(still_open, Accepted)
    assert Reason.DIRECTORY_LOCKED is judge.reason(account, PASSWORD)
    assert Reason.WRONG_PASSWORD in beyond


def test_the_domains_limit(authority: Authority) -> None:
    """The domain object's threshold and window; an unreadable settings object is taken for a strict one."""
    with SambaAd(authority) as ad, Judge(provider_for(ad)) as judge:
        account = judge.of_samba(ad, "bob")
        assert judge.limit(account) is None
        ad.set_lockout(5, 15)
        ad.create_user("guarded", PASSWORD)
        ad.set_pso("guarded", 50)
        judge.provider = provider_for(ad, timeout_s=6)  # forgets what was remembered

        assert AttemptLimit(4, 900.0) == judge.limit(account)
        assert AttemptLimit(2, 900.0) == judge.limit(judge.of_samba(ad, "guarded"))


def test_a_changed_password_holds_at_once(samba_ad: SambaAd, judge: Judge) -> None:
    """The new one is right and the old one is wrong."""
    account = subject(samba_ad, judge, "ldapchanging")
    before = judge.verdict(account, PASSWORD)
    samba_ad.set_password("ldapchanging", "An0ther-at-samba")

    assert isinstance(before, Accepted)
    assert isinstance(judge.verdict(account, "An0ther-at-samba"), Accepted)
    assert Reason.WRONG_PASSWORD is judge.reason(account, PASSWORD)


def test_renamed_and_moved(samba_ad: SambaAd, judge: Judge) -> None:
    """The objectGUID leads to the entry wherever it went; the old name is somebody else's."""
    account = subject(samba_ad, judge, "ldapmaiden")
    samba_ad.rename("ldapmaiden", "ldapmarried")
    samba_ad.move("ldapmarried", samba_ad.leavers_dn)
    samba_ad.create_user("ldapmaiden", "Succ3ssors-one")

    assert isinstance(judge.verdict(account, PASSWORD), Accepted)
    assert Reason.WRONG_PASSWORD is judge.reason(account, "Succ3ssors-one")
    samba_ad.delete("ldapmarried")
    assert Reason.DIRECTORY_NO_ENTRY is judge.reason(account, PASSWORD)


def test_names_with_metacharacters(samba_ad: SambaAd, judge: Judge) -> None:
    """A name full of what DNs and filters are made of."""
    names = {"sAMAccountName": "ldapweird", "userPrincipalName": "ldapweird@corp.test", "mail": "w@corp.test"}
    samba_ad.create_user(r"we\,ird*()\\", PASSWORD, **names)
    account = judge.of_samba(samba_ad, "ldapweird")
    blind = judge.account("blind", str(samba_ad.guid_of("ldapweird")))

    assert isinstance(judge.verdict(account, PASSWORD), Accepted)
    assert isinstance(judge.verdict(blind, PASSWORD), Accepted)


def test_the_service_account_does_not_sign_in(samba_ad: SambaAd, judge: Judge) -> None:
    """Also when it is configured as name@domain: it is known by its id."""
    name = samba_ad.service_upn.partition("@")[0]
    for bind_user in (samba_ad.service_dn, samba_ad.service_upn, f"CORP\\{name}"):
        judge.provider = provider_for(samba_ad, bind_user=bind_user)
        account = judge.of_samba(samba_ad, name)

        assert Reason.SERVICE_ACCOUNT is judge.reason(account, samba_ad.service_password)


def test_who_is_a_user(samba_ad: SambaAd) -> None:
    """The user filter takes people and no computers; the domain is called by its NetBIOS name."""
    samba_ad.samba_tool("computer", "create", "WORKSTATION7")
    directory = Directory(provider_for(samba_ad))
    computers = directory.look_up("WORKSTATION7$")
    by_login, by_upn = directory.look_up("ALICE"), directory.look_up("alice@corp.test")
    told = directory.domain(), directory.service_account_id()
    name = samba_ad.service_upn.partition("@")[0]
    directory.close()

    assert computers == []
    assert by_login == by_upn
    assert [str(samba_ad.guid_of("alice"))] == [external_id_of(directory.preset, entry) for entry in by_login]
    assert told == ("CORP", str(samba_ad.guid_of(name)))


def test_reading_all_of_it(samba_ad: SambaAd) -> None:
    """5,000 accounts page by page, a group's members in ranges; a search with a limit is cut to it, Samba gives all."""
    directory = Directory(provider_for(samba_ad))
    with directory.reader() as connection:
        pages = list(connection.pages(samba_ad.bulk_dn, "(objectClass=user)", ("objectGUID",)))
        empty = list(connection.pages(samba_ad.bulk_dn, "(cn=nobody)", ("objectGUID",)))
        few = connection.search(samba_ad.staff_dn, "(objectClass=user)", ("cn",), limit=3)
        large = samba_ad.dn_of(samba_ad.large_group)
        [ranged] = connection.search(large, "(objectClass=*)", ("member;range=0-1499",), scope=Scope.BASE)
    directory.close()

    assert sum(map(len, pages)) == samba_ad.bulk
    assert max(map(len, pages)) == 500
    assert (empty, len(few)) == ([[]], 3)
    assert len(ranged.attributes["member;range=0-1499"]) == 1500


def test_starttls(samba_ad: SambaAd, judge: Judge) -> None:
    """On port 389, where Samba takes no password without."""
    judge.provider = provider_for(samba_ad, hosts=(f"localhost:{samba_ad.port}",), security="starttls")

    assert isinstance(judge.verdict(judge.of_samba(samba_ad, "alice"), samba_ad.password_of("alice")), Accepted)
