"""Passwords at a real OpenLDAP."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from structlog.testing import capture_logs

from auth_backends.api import Accepted, AttemptLimit, Reason, Secret, Unavailable
from auth_backends.ldap.connection import Scope
from auth_backends.ldap.directory import Directory
from auth_backends.ldap.errors import BindNotSent, DirectoryUnreachable, ServiceRefused
from auth_backends.ldap.vendors import external_id_of
from tests.support.directories.certificates import Authority
from tests.support.directories.judges import Judge, attempt
from tests.support.directories.sites import provider_for
from tests.support.directories.slapd import PASSWORD, Slapd
from tests.support.waiting import eventually

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def slapd(authority: Authority) -> Iterator[Slapd]:
    """A server of this file's own: its password policies would be other files' strictest ones."""
    with Slapd(authority) as server:
        yield server


WEIRD = "we,ird*()\\"
UNUSABLE = ["", " ", "\t\n ", "\u00a0\u2003", "\u00ad\u200b", "a\0b", "x" * 1025, "x" * 1_000_000, "\ud800"]


@pytest.fixture
def judge(slapd: Slapd) -> Iterator[Judge]:
    with Judge(provider_for(slapd)) as made:
        yield made


# Yes and no --------------------------------------------------------------------------------------


def test_right_and_wrong(slapd: Slapd, judge: Judge) -> None:
    """The directory's word, by LDAPS and by StartTLS, for a name and for an address of the server."""
    account = judge.of_slapd(slapd, slapd.add_person("right"))
    for provider in (
        provider_for(slapd),
        provider_for(slapd, hosts=(f"127.0.0.1:{slapd.tls_port}",)),
        provider_for(slapd, hosts=(f"localhost:{slapd.port}",), security="starttls"),
    ):
        judge.provider = provider

        assert isinstance(judge.verdict(account, PASSWORD), Accepted)
        assert Reason.WRONG_PASSWORD is judge.reason(account, "wrong")


def test_a_changed_password_holds_at_once(slapd: Slapd, judge: Judge) -> None:
    """Nothing is remembered here: the new one is right and the old one is wrong."""
    dn = slapd.add_person("changing")
    account = judge.of_slapd(slapd, dn)
    before = judge.verdict(account, PASSWORD)
    slapd.set_password(dn, "An0ther-one")

    assert isinstance(before, Accepted)
    assert isinstance(judge.verdict(account, "An0ther-one"), Accepted)
    assert Reason.WRONG_PASSWORD is judge.reason(account, PASSWORD)


def test_letters_of_all_kinds(slapd: Slapd, judge: Judge) -> None:
    """Mixed scripts and compatibility letters, which ldap3's SASLprep refuses or changes; composed or not is one."""
    password = "Grüße-שלום-x²-ﬁ"
    account = judge.of_slapd(slapd, slapd.add_person("letters", password))

    assert isinstance(judge.verdict(account, password), Accepted)
    assert isinstance(judge.verdict(account, password.replace("ü", "u\u0308")), Accepted)
    assert Reason.WRONG_PASSWORD is judge.reason(account, password.replace("²", "2"))


def test_names_with_metacharacters(slapd: Slapd, judge: Judge) -> None:
    """A name that is full of what DNs and filters are made of is a name like any other, and finds nobody else."""
    account = judge.of_slapd(slapd, slapd.add_person(WEIRD), hint="")
    slapd.add_person("we")
    directory = Directory(provider_for(slapd))
    found = {
        name: [entry.text("uid") for entry in directory.look_up(name)] for name in (WEIRD, "we*", "*", "we)(uid=*")
    }
    directory.close()

    assert isinstance(judge.verdict(account, PASSWORD), Accepted)
    assert found == {WEIRD: [WEIRD], "we*": [], "*": [], "we)(uid=*": []}


# Where the entry is ------------------------------------------------------------------------------


def test_renamed_and_moved(slapd: Slapd, judge: Judge) -> None:
    """The id leads to the entry wherever it went; whoever has the old DN now is somebody else."""
    dn = slapd.add_person("maiden")
    account = judge.of_slapd(slapd, dn)
    slapd.rename(dn, "uid=married", f"ou=other,{slapd.base_dn}")
    moved = judge.verdict(account, PASSWORD)
    slapd.add_person("maiden", "Successors-0ne")

    assert isinstance(moved, Accepted)
    assert isinstance(judge.verdict(account, PASSWORD), Accepted)
    assert Reason.WRONG_PASSWORD is judge.reason(account, "Successors-0ne")


@pytest.mark.parametrize("hint", ["", "no name", "uid=nobody,dc=elsewhere", "uid=*,dc=lab,dc=test", "dc=lab,dc=test"])
def test_a_hint_that_leads_nowhere(hint: str, slapd: Slapd, judge: Judge) -> None:
    """The id is looked for below the base instead."""
    account = judge.of_slapd(slapd, slapd.add_person(f"hint{abs(hash(hint))}"), hint=hint)

    assert isinstance(judge.verdict(account, PASSWORD), Accepted)


def test_nobody_there(slapd: Slapd, judge: Judge) -> None:
    """An entry that is gone, one that the user filter does not take, one outside the base, and no link."""
    dn = slapd.add_person("leaver")
    gone, narrow = judge.of_slapd(slapd, dn), judge.of_slapd(slapd, slapd.add_person("narrow"))
    slapd.delete(dn)
    reasons = [judge.reason(gone, PASSWORD)]
    judge.provider = provider_for(slapd, user_filter="(&(objectClass=inetOrgPerson)(!(uid=narrow)))")
    reasons.append(judge.reason(narrow, PASSWORD))
    judge.provider = provider_for(slapd, user_base_dn=f"ou=other,{slapd.base_dn}")
    reasons.append(judge.reason(narrow, PASSWORD))
    judge.links.clear()
    reasons.append(judge.reason(narrow, PASSWORD))

    assert reasons == [Reason.DIRECTORY_NO_ENTRY] * 3 + [Reason.NOT_LINKED]


def test_two_entries_with_one_id(slapd: Slapd, judge: Judge) -> None:
    """A provider whose ids are not unique lets in neither of the two."""
    judge.provider = provider_for(slapd, id_attribute="employeeNumber")
    first = slapd.add_person("twin-one", employeeNumber="4711")
    slapd.add_person("twin-two", employeeNumber="4711")

    assert Reason.DIRECTORY_AMBIGUOUS is judge.reason(judge.account("twin", "4711"), PASSWORD)
    assert isinstance(judge.verdict(judge.account("twin-one", "4711", first), PASSWORD), Accepted)
    assert slapd.binds(first) == 1


# What is never sent ------------------------------------------------------------------------------


@pytest.mark.parametrize("password", UNUSABLE)
def test_what_means_nobody_is_never_sent(password: str, anonymous_slapd: Slapd) -> None:
    """A server that takes an empty password for success is not asked (L1)."""
    dn = anonymous_slapd.add_person(f"blank{UNUSABLE.index(password)}")
    with Judge(provider_for(anonymous_slapd)) as judge:
        account = judge.of_slapd(anonymous_slapd, dn)
        reason = judge.reason(account, password)

    assert Reason.UNUSABLE_PASSWORD is reason
    assert anonymous_slapd.binds(dn) == 0


@pytest.mark.parametrize(("dn", "password"), [("", "x"), (" ", "x"), ("uid=a\0", "x"), ("uid=a", ""), ("uid=a", " ")])
def test_a_connection_binds_as_nobody(dn: str, password: str, anonymous_slapd: Slapd) -> None:
    """ldap3 binds anonymously for an empty name, whatever the password, and says True; here nothing is sent."""
    directory = Directory(provider_for(anonymous_slapd))
    connection = directory.open(("localhost", anonymous_slapd.tls_port), directory.soon())
    with pytest.raises(BindNotSent):
        connection.bind(dn, Secret(password))
    connection.close()
    directory.close()


def test_the_service_account_does_not_sign_in(slapd: Slapd, judge: Judge) -> None:
    """Neither with its password nor with guesses, which would lock it and with it everybody (L11)."""
    judge.provider = provider_for(slapd, user_filter="(objectClass=*)")
    account = judge.of_slapd(slapd, slapd.service_dn)
    before = slapd.binds(slapd.service_dn)
    reasons = {judge.reason(account, password) for password in ("guess", slapd.service_password)}

    assert {Reason.SERVICE_ACCOUNT} == reasons
    assert slapd.binds(slapd.service_dn) - before == 1  # the search connection


def test_break_glass_accounts_are_not_the_directorys(slapd: Slapd, judge: Judge) -> None:
    """Refused before anything is sent."""
    dn = slapd.add_person("glass")
    account = judge.account("glass", slapd.entry(dn)["entryUUID"][0], dn, break_glass=True)

    assert Reason.BREAK_GLASS_NOT_HERE is judge.reason(account, PASSWORD)
    assert slapd.binds(dn) == 0


# Password policy ---------------------------------------------------------------------------------


def test_locked(slapd: Slapd, judge: Judge) -> None:
    """Only the policy control tells a locked account from a wrong password: the audit says which it was."""
    dn = slapd.add_person("locked-out")
    account = judge.of_slapd(slapd, dn)
    slapd.set_locked(dn, permanently=True)
    reasons = [judge.reason(account, PASSWORD)]
    slapd.set_locked(dn, permanently=False)
    reasons.append(judge.reason(account, PASSWORD))
    slapd.unlock(dn)

    assert reasons == [Reason.DIRECTORY_LOCKED] * 2
    assert isinstance(judge.verdict(account, PASSWORD), Accepted)


def policy(slapd: Slapd, name: str, **attributes: str) -> str:
    dn = f"cn={name},ou=policies,{slapd.base_dn}"
    lines = [f"dn: {dn}", "objectClass: applicationProcess", "objectClass: pwdPolicy", f"cn: {name}"]
    lines += ["pwdAttribute: userPassword", *(f"{key}: {value}" for key, value in attributes.items())]
    slapd.add_ldif("\n".join(lines) + "\n")
    return dn


def under(slapd: Slapd, dn: str, policy_dn: str) -> None:
    slapd.modify_ldif(f"dn: {dn}\nchangetype: modify\nadd: pwdPolicySubentry\npwdPolicySubentry: {policy_dn}\n")


def test_a_password_to_be_changed_first_lets_nobody_in(slapd: Slapd, judge: Judge) -> None:
    """The bind succeeds, and the control says that it is good for changing the password only."""
    dn = slapd.add_person("reset")
    account = judge.of_slapd(slapd, dn)
    under(slapd, dn, policy(slapd, "must-change", pwdMustChange="TRUE"))
    slapd.modify_ldif(f"dn: {dn}\nchangetype: modify\nadd: pwdReset\npwdReset: TRUE\n")

    assert Reason.DIRECTORY_PASSWORD_MUST_CHANGE is judge.reason(account, PASSWORD)
    assert Reason.WRONG_PASSWORD is judge.reason(account, "wrong")


def test_an_expired_password_has_its_grace_and_then_none(slapd: Slapd, judge: Judge) -> None:
    """What the directory allows is allowed."""
    dn = slapd.add_person("aged")
    account = judge.of_slapd(slapd, dn)
    under(slapd, dn, policy(slapd, "aging", pwdMaxAge="1", pwdGraceAuthNLimit="1"))
    slapd.set_password(dn, PASSWORD)  # from now on it has an age
    told: list[object] = []

    def expired() -> bool:
        told.append(judge.reason(account, PASSWORD))
        return told[-1] is Reason.DIRECTORY_PASSWORD_EXPIRED

    eventually(expired, what="the end of the password")
    assert [Accepted] * len(told[:-1]) == [type(each) for each in told[:-1]]
    assert len(slapd.entry(dn)["pwdGraceUseTime"]) == 1


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        ({"pwdLockout": "TRUE", "pwdMaxFailure": "3", "pwdFailureCountInterval": "60"}, AttemptLimit(2, 60.0)),
        ({"pwdLockout": "TRUE", "pwdMaxFailure": "10", "pwdFailureCountInterval": "0"}, AttemptLimit(9, 86400.0)),
        ({"pwdLockout": "TRUE", "pwdMaxFailure": "1"}, AttemptLimit(1, 86400.0)),
        ({"pwdLockout": "FALSE", "pwdMaxFailure": "3"}, None),
        ({"pwdLockout": "TRUE"}, None),
    ],
)
def test_the_limit_of_a_policy(
    settings: dict[str, str], limit: AttemptLimit | None, slapd: Slapd, judge: Judge
) -> None:
    """One less than locks, within the directory's own time; 0 there means that it never forgets."""
    name = "-".join(settings.values())
    dn = slapd.add_person(f"under-{name}")
    under(slapd, dn, policy(slapd, f"limits-{name}", **settings))

    assert limit == judge.limit(judge.of_slapd(slapd, dn))


def test_the_limit_without_a_policy_of_ones_own(slapd: Slapd, authority: Authority, judge: Judge) -> None:
    """The strictest policy that can be read; what the provider's settings say wins; a linkless user has the default."""
    account = judge.of_slapd(slapd, slapd.add_person("plain"))
    with Slapd(authority, lockout_threshold=5) as own, Judge(provider_for(own)) as other:
        assert AttemptLimit(4, 300.0) == other.limit(other.of_slapd(own, own.add_person("plain")))
    judge.provider = provider_for(slapd, lockout_threshold=7, lockout_window_s=120)
    assert AttemptLimit(6, 120.0) == judge.limit(account)
    judge.provider = provider_for(slapd, lockout_threshold=0)
    assert judge.limit(account) is None
    judge.provider = provider_for(slapd)
    judge.links.clear()
    assert AttemptLimit(2, 600.0) == judge.limit(account)


def test_the_limit_keeps_an_account_unlocked(slapd: Slapd, judge: Judge) -> None:
    """As many wrong passwords as the limit says, and the right one still opens."""
    account = judge.of_slapd(slapd, slapd.add_person("kept"))
    limit = judge.limit(account)
    assert limit is not None
    assert limit is judge.limit(account)  # remembered
    for number in range(limit.max_failures):
        assert Reason.WRONG_PASSWORD is judge.reason(account, f"guess {number}")

    assert isinstance(judge.verdict(account, PASSWORD), Accepted)


# Connections -------------------------------------------------------------------------------------


def test_a_restarted_server_is_found_again(authority: Authority) -> None:
    """Kept connections that it ended are noticed before they are used; meanwhile nobody can tell."""
    with Slapd(authority) as own, Judge(provider_for(own)) as judge:
        account = judge.of_slapd(own, own.add_person("patient"))
        before = judge.verdict(account, PASSWORD)
        own.stop()
        down = judge.verdict(account, PASSWORD)
        own.start()
        after = judge.verdict(account, PASSWORD)

    assert isinstance(before, Accepted)
    assert isinstance(down, Unavailable)
    assert isinstance(after, Accepted)


def test_nobody_shares_a_bound_connection(slapd: Slapd) -> None:
    """With passwords of many people at once, a search connection is never anybody but the service account (L14)."""
    with Judge(provider_for(slapd)) as judge:
        people = [judge.of_slapd(slapd, slapd.add_person(f"crowd{number}")) for number in range(8)]
        directory = Directory(provider_for(slapd))

        def who() -> str:
            return directory.ask(lambda connection: connection.who_am_i(), directory.soon())

        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(lambda number: judge.verdict(people[number % 8], PASSWORD), range(64)))
            seen = set(pool.map(lambda _: who(), range(64)))
        directory.close()
    log = slapd.log()
    bound = [line for line in log.splitlines() if " BIND dn=" in line and "method=128" in line and "crowd" in line]
    connections = {line.split(" op=")[0] for line in bound}

    assert all(isinstance(verdict, Accepted) for verdict in told)
    assert {f"dn:{slapd.service_dn}"} == seen
    assert len(connections) == len(bound) == 64
    searched = {line.split(" op=")[0] for line in log.splitlines() if " SRCH base=" in line}
    assert not connections & searched


def test_nothing_secret_is_shown(slapd: Slapd, judge: Judge) -> None:
    """Neither in verdicts nor in logs, errors or the text form of anything that may be logged."""
    secret = "Secret-that-must-not-show-77"
    account = judge.of_slapd(slapd, slapd.add_person("quiet"))
    broken = provider_for(slapd, bind_password=secret)
    directory = Directory(broken)
    with capture_logs() as logs:
        shown = [repr(judge.verdict(account, secret))]
        judge.provider = broken
        shown.append(repr(judge.verdict(account, secret)))
        with pytest.raises(ServiceRefused) as caught:
            directory.find("id", "")
    shown += [repr(caught.value), str(caught.value), repr(attempt("quiet", secret)), repr(directory), repr(broken)]
    chain: list[str] = []
    error: BaseException | None = caught.value
    while error is not None:
        chain.append(repr(error))
        error = error.__context__
    directory.close()

    assert [text for text in (*shown, *chain, repr(logs)) if secret in text] == []
    assert logs


def test_reading_all_of_it(slapd: Slapd) -> None:
    """Page by page, each with the entries of one; an empty answer is one empty page."""
    for number in range(7):
        slapd.add_person(f"paged{number}", ou="other")
    directory = Directory(provider_for(slapd))
    with directory.reader() as connection:
        base = f"ou=other,{slapd.base_dn}"
        pages = list(connection.pages(base, "(uid=paged*)", ("uid", "entryUUID"), page_size=3))
        nothing = list(connection.pages(base, "(uid=nobody)", ("uid",)))
        level = list(connection.pages(slapd.base_dn, "(uid=paged*)", ("uid",), scope=Scope.LEVEL))
        with pytest.raises(DirectoryUnreachable):
            list(connection.pages(base, "(uid=paged*", ("uid",)))
    directory.close()

    assert [len(page) for page in pages] == [3, 3, 1]
    assert len({external_id_of(directory.preset, entry) for page in pages for entry in page}) == 7
    assert (nothing, level) == ([[]], [[]])


def test_what_it_says_of_itself(slapd: Slapd) -> None:
    """The service account's id, no domain, and people by login or alias."""
    slapd.add_person("looked-up", mail="looked@lab.test")
    directory = Directory(provider_for(slapd, alias_attributes=("mail",)))
    [by_login], [by_mail] = directory.look_up("LOOKED-UP"), directory.look_up("looked@lab.test")
    service_id = slapd.entry(slapd.service_dn)["entryUUID"][0]
    told = directory.service_account_id(), directory.domain()
    of_nobody = Directory(provider_for(slapd, bind_user=slapd.admin_dn, bind_password=slapd.admin_password))
    nobody = of_nobody.service_account_id()
    directory.close()
    of_nobody.close()

    assert by_login == by_mail
    assert told == (service_id, "")
    assert nobody == ""  # the administrator of slapd.conf is no entry
