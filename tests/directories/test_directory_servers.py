"""The real directory servers of the tests do what their docstrings say."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from ldap3 import BASE, NONE, SIMPLE, SUBTREE, Connection, Server, Tls
from ldap3.core.exceptions import LDAPNoSuchObjectResult

from tests.support.directories.certificates import Authority
from tests.support.directories.raw_ldap import PASSWORD_POLICY, RawLdap
from tests.support.directories.samba import SambaAd
from tests.support.directories.slapd import LOCKED_FOR_GOOD, Slapd
from tests.support.waiting import eventually

pytestmark = pytest.mark.system

LOCKED = bytes.fromhex("3003810101")  # accountLocked (draft-behera-ldap-password-policy-11, 6.2)
IN_CHAIN = "1.2.840.113556.1.4.1941"


def bind(server: Slapd | SambaAd, who: str, password: str, name: str = "localhost") -> tuple[int, str]:
    with RawLdap(server.ip, server.tls_port, ca_file=server.ca_file, name=name) as client:
        return client.bind(who, password)


def subcode(ad: SambaAd, name: str, password: str) -> str:
    """Bind over LDAPS and give "0", or what Active Directory has after "data" in its text."""
    code, diagnostic = bind(ad, f"{name}@{ad.upn_suffix}", password)
    return "0" if code == 0 else diagnostic.partition("data ")[2].partition(",")[0]


def policy_answer(server: Slapd, dn: str, password: str) -> tuple[int, bytes]:
    with RawLdap(server.ip, server.port) as client:
        code, _, controls = client.bind_with_controls(dn, password, {PASSWORD_POLICY: None})
        return code, controls[PASSWORD_POLICY]


def connected(server: Slapd | SambaAd, who: str, password: str) -> Connection:
    tls = Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=str(server.ca_file))
    return Connection(
        Server(server.host, port=server.tls_port, use_ssl=True, tls=tls, get_info=NONE),
        who,
        password,
        authentication=SIMPLE,
        auto_referrals=False,
        auto_range=False,
        return_empty_attributes=False,
        receive_timeout=60,
    )


def service(server: Slapd | SambaAd) -> Connection:
    who = server.service_dn if isinstance(server, Slapd) else server.service_upn
    return connected(server, who, server.service_password)


def entries(connection: Connection, base: str, query: str, *attributes: str) -> Iterator[dict[str, list[bytes]]]:
    pages = connection.extend.standard.paged_search(
        base, query, SUBTREE, attributes=list(attributes) or ["1.1"], paged_size=1000, generator=True
    )
    return (
        {"dn": [item["dn"].encode()], **item["raw_attributes"]} for item in pages if item["type"] == "searchResEntry"
    )


def names(connection: Connection, base: str, query: str) -> set[str]:
    return {entry["dn"][0].decode().partition(",")[0].partition("=")[2] for entry in entries(connection, base, query)}


class TestSlapd:
    def test_both_ports_verify(self, slapd: Slapd) -> None:
        """LDAPS and StartTLS have a certificate for localhost and 127.0.0.1, and tell a good password from a bad."""
        dn = slapd.add_person("verify", "G00d-password")
        with RawLdap(slapd.ip, slapd.port) as client:
            started = client.start_tls(slapd.ca_file)
            over_starttls = client.bind(dn, "G00d-password")

        assert (started, over_starttls) == (0, (0, ""))
        assert bind(slapd, dn, "G00d-password", name="127.0.0.1") == (0, "")
        assert bind(slapd, dn, "bad") == (49, "")
        assert bind(slapd, "uid=nobody,ou=people,dc=lab,dc=test", "bad") == (49, "")
        assert slapd.binds(dn) == 3

    def test_unauthenticated_bind(self, slapd: Slapd, anonymous_slapd: Slapd) -> None:
        """A DN with an empty password gets 53, and success from the server that plays Active Directory."""
        assert bind(slapd, slapd.service_dn, "")[0] == 53
        assert bind(anonymous_slapd, anonymous_slapd.service_dn, "")[0] == 0

    @pytest.mark.parametrize(
        ("wrong", "complaint"),
        [
            ({"tls_names": {"dns": ["other.test"], "ips": []}}, "Hostname mismatch"),
            ({"expired_certificate": True}, "certificate has expired"),
        ],
    )
    def test_wrong_certificates(self, authority: Authority, wrong: dict[str, object], complaint: str) -> None:
        """A server may have a certificate for another name or an expired one, which a client that verifies refuses."""
        with Slapd(authority, **wrong) as server, pytest.raises(ssl.SSLCertVerificationError, match=complaint):
            bind(server, server.service_dn, server.service_password)

    def test_lockout(self, slapd: Slapd) -> None:
        """Five failures lock an account: that looks like a bad password but to a client with the policy control."""
        dn = slapd.add_person("lockout", "G00d-password")
        failures = [policy_answer(slapd, dn, "bad") for _ in range(5)]
        assert failures == [(49, b"\x30\x00")] * 5
        assert policy_answer(slapd, dn, "G00d-password") == (49, LOCKED)
        assert len(slapd.entry(dn)["pwdFailureTime"]) == 5

        slapd.unlock(dn)
        assert policy_answer(slapd, dn, "G00d-password") == (0, b"\x30\x00")

    def test_locked_by_an_administrator(self, slapd: Slapd) -> None:
        """An account is locked for good or for a time; a new password unlocks it."""
        dn = slapd.add_person("locked", "G00d-password")
        slapd.set_locked(dn, permanently=True)
        assert slapd.entry(dn)["pwdAccountLockedTime"] == [LOCKED_FOR_GOOD]
        assert policy_answer(slapd, dn, "G00d-password") == (49, LOCKED)
        slapd.set_locked(dn, permanently=False)
        assert policy_answer(slapd, dn, "G00d-password") == (49, LOCKED)

        slapd.set_password(dn, "N3w-password")
        assert policy_answer(slapd, dn, "N3w-password") == (0, b"\x30\x00")

    def test_groups_follow(self, slapd: Slapd) -> None:
        """Attribute memberOf is direct membership; groups follow a rename, which keeps entryUUID, and a deletion."""
        one, two = slapd.add_person("group-one"), slapd.add_person("we,ird*()")
        inner = slapd.add_group("inner", [one])
        outer = slapd.add_group("outer", [inner])
        slapd.add_to_group(inner, two)
        before = slapd.entry(two)
        moved = slapd.rename(two, "uid=renamed", f"ou=other,{slapd.base_dn}")
        after = slapd.entry(moved)

        assert [inner] == before["memberOf"] == after["memberOf"] == slapd.entry(one)["memberOf"]
        assert [outer] == slapd.entry(inner)["memberOf"]
        assert before["entryUUID"] == after["entryUUID"]
        assert [one, moved] == slapd.entry(inner)["member"]
        slapd.delete(moved)
        assert [one] == slapd.entry(inner)["member"]
        with pytest.raises(LDAPNoSuchObjectResult):
            slapd.entry(moved)
        slapd.add_to_group(inner, slapd.service_dn)
        slapd.remove_from_group(inner, one)
        assert [slapd.service_dn] == slapd.entry(inner)["member"]

    def test_what_accounts_read(self, slapd: Slapd) -> None:
        """The service account reads operational attributes and policies but no password; a person reads itself."""
        dn = slapd.add_person("reader", "G00d-password")
        with service(slapd) as connection:
            [seen] = entries(connection, slapd.base_dn, "(uid=reader)", "*", "+")
            [policy] = entries(connection, slapd.base_dn, "(objectClass=pwdPolicy)", "pwdMaxFailure")
            with_password = names(connection, slapd.base_dn, "(userPassword=*)")
        with connected(slapd, dn, "G00d-password") as connection:
            connection.search(dn, "(objectClass=*)", BASE, attributes=["uid"])
            own = connection.response
            connection.search(slapd.service_dn, "(objectClass=*)", BASE, attributes=["cn"])
            others = connection.response
            whoami = connection.extend.standard.who_am_i()

        assert {"entryUUID", "modifyTimestamp", "uid", "mail"} <= seen.keys()
        assert "userPassword" not in seen
        assert set() == with_password
        assert policy["pwdMaxFailure"] == [b"5"]
        assert (len(own), others) == (1, [])
        assert f"dn:{dn}" == whoami

    def test_ldif(self, slapd: Slapd) -> None:
        """LDIF adds and changes entries."""
        dn = f"uid=ldif,ou=other,{slapd.base_dn}"
        slapd.add_ldif(f"dn: {dn}\nobjectClass: account\nuid: ldif\n")
        slapd.modify_ldif(f"dn: {dn}\nchangetype: modify\nadd: description\ndescription: changed\n")

        assert slapd.entry(dn)["description"] == ["changed"]

    def test_many_entries(self, authority: Authority, tmp_path: Path) -> None:
        """50,000 entries load in seconds, are kept over a stop, and can all be paged through."""
        ldif = tmp_path / "many.ldif"
        people = "dn: uid=u{0},ou=people,dc=lab,dc=test\nobjectClass: account\nuid: u{0}\n\n"
        ldif.write_text("".join(people.format(number) for number in range(50_000)))
        with Slapd(authority) as server:
            server.bulk_load(ldif)
            server.stop()
            with pytest.raises(ConnectionRefusedError):
                bind(server, server.service_dn, server.service_password)
            server.start()
            with service(server) as connection:
                found = sum(1 for _ in entries(connection, server.base_dn, "(objectClass=account)"))

        assert found == 50_000


class TestSambaAd:
    @pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "dc1.corp.test"])
    def test_names(self, samba_ad: SambaAd, name: str) -> None:
        """The certificate is for all three names."""
        assert bind(samba_ad, samba_ad.service_upn, samba_ad.service_password, name) == (0, "")

    def test_who_may_bind(self, samba_ad: SambaAd) -> None:
        """A UPN, a name with its domain, and a DN get in; a bare name and an unknown one do not, nor plain text."""
        password = samba_ad.password_of("alice")
        for who in ("alice@corp.test", "CORP\\alice", samba_ad.dn_of("alice")):
            assert bind(samba_ad, who, password) == (0, ""), who
        with RawLdap(samba_ad.ip, samba_ad.port) as client:
            plain = client.bind("alice@corp.test", password)[0]
            started = client.start_tls(samba_ad.ca_file)
            over_starttls = client.bind("alice@corp.test", password)[0]

        assert "data 52e" in bind(samba_ad, "alice", password)[1]
        assert [subcode(samba_ad, name, "bad") for name in ("alice", "nobody")] == ["52e"] * 2
        assert (plain, started, over_starttls) == (8, 0, 0)

    @pytest.mark.parametrize(
        ("code", "change"),
        [
            ("533", SambaAd.disable),
            ("701", SambaAd.expire_account),
            ("773", SambaAd.must_change_password),
            ("532", SambaAd.expire_password),
            ("530", lambda ad, name: ad.set_logon_hours(name, none=True)),
            ("531", lambda ad, name: ad.set_workstations(name, "PC1")),
        ],
    )
    def test_subcodes(self, samba_ad: SambaAd, code: str, change: Callable[[SambaAd, str], None]) -> None:
        """The right password is told what is wrong with the account; a bad one learns nothing."""
        name, password = f"sub{code}", "Str0ng-subcode"
        samba_ad.create_user(name, password)
        before = subcode(samba_ad, name, password)
        change(samba_ad, name)

        assert ("0", code, "52e") == (before, subcode(samba_ad, name, password), subcode(samba_ad, name, "bad"))

    def test_undone(self, samba_ad: SambaAd) -> None:
        """Each change of an account has its way back."""
        samba_ad.create_user("undone", "Str0ng-undone")
        samba_ad.disable("undone")
        samba_ad.enable("undone")
        samba_ad.set_logon_hours("undone", none=True)
        samba_ad.set_logon_hours("undone", none=False)
        samba_ad.set_workstations("undone", "PC1")
        samba_ad.set_workstations("undone")
        samba_ad.set_password("undone", "Str0ng-again")

        assert subcode(samba_ad, "undone", "Str0ng-again") == "0"
        assert subcode(samba_ad, "undone", "Str0ng-undone") == "52e"

    def test_lockout(self, samba_ad: SambaAd) -> None:
        """A settings object locks one account: 775 whatever the password; an empty one counts, too."""
        samba_ad.create_user("lockme", "Str0ng-locking")
        settings = samba_ad.set_pso("lockme", 2)
        tries = [subcode(samba_ad, "lockme", password) for password in ("", "bad", "bad", "Str0ng-locking")]
        samba_ad.unlock("lockme")

        assert tries == ["52e", "52e", "775", "775"]
        assert subcode(samba_ad, "lockme", "Str0ng-locking") == "0"
        with service(samba_ad) as connection:
            [seen] = entries(connection, samba_ad.base_dn, "(sAMAccountName=lockme)", "msDS-ResultantPSO")
            assert [settings.encode()] == seen["msDS-ResultantPSO"]
            assert set() == names(connection, samba_ad.base_dn, "(objectClass=msDS-PasswordSettings)")
        samba_ad.allow_reading_psos()
        with service(samba_ad) as connection:
            assert "lockout-lockme" in names(connection, samba_ad.base_dn, "(objectClass=msDS-PasswordSettings)")

    def test_domain_wide_settings(self, authority: Authority) -> None:
        """A second server has its own settings: a lock-out for all, an old password that still gets in."""
        with SambaAd(authority, old_password_minutes=60) as ad:
            ad.set_lockout(3, 5)
            tries = [subcode(ad, "bob", "bad") for _ in range(4)]
            ad.set_password("alice", "N3w-password")
            ad.stop()
            with pytest.raises(ConnectionRefusedError):
                bind(ad, ad.service_upn, ad.service_password)
            ad.start()
            with service(ad) as connection:
                [domain] = entries(connection, ad.base_dn, "(objectClass=domain)", "lockoutThreshold")

            assert tries == ["52e", "52e", "52e", "775"]
            assert domain["lockoutThreshold"] == [b"3"]
            assert [subcode(ad, "alice", each) for each in ("N3w-password", ad.password_of("alice"))] == ["0", "0"]

    def test_groups(self, samba_ad: SambaAd) -> None:
        """Nested membership resolves by IN_CHAIN; a primary group is in neither member nor memberOf."""
        samba_ad.create_user("grouped", "Str0ng-groups")
        samba_ad.create_group("inner", "grouped")
        samba_ad.create_group("outer")
        samba_ad.add_to_group("outer", "inner")
        chain = f"(memberOf:{IN_CHAIN}:={samba_ad.dn_of('outer')})"
        with service(samba_ad) as connection:
            nested = names(connection, samba_ad.base_dn, chain)
            staff = names(connection, samba_ad.base_dn, f"(memberOf:{IN_CHAIN}:={samba_ad.dn_of('staff')})")
            [carol] = entries(connection, samba_ad.base_dn, "(sAMAccountName=carol)", "memberOf", "primaryGroupID")
            [accounting] = entries(connection, samba_ad.base_dn, "(sAMAccountName=accounting)", "member", "objectSid")

        assert {"inner", "grouped"} == nested
        assert {"engineering", "alice", "dave", "bob"} == staff
        assert [f"CN=Domain Users,CN=Users,{samba_ad.base_dn}".encode()] == carol["memberOf"]
        assert "member" not in accounting
        assert int(carol["primaryGroupID"][0]) == int.from_bytes(accounting["objectSid"][0][-4:], "little")
        samba_ad.remove_from_group("outer", "inner")
        with service(samba_ad) as connection:
            assert set() == names(connection, samba_ad.base_dn, chain)

    def test_ranges(self, samba_ad: SambaAd) -> None:
        """A group of 1,600 is given in ranges to who asks for them, and whole to who does not."""
        dn = samba_ad.dn_of(samba_ad.large_group)
        sizes = {}
        with service(samba_ad) as connection:
            for asked in ("member", "member;range=0-1499", "member;range=1500-*"):
                connection.search(dn, "(objectClass=*)", BASE, attributes=[asked])
                sizes |= {name: len(values) for name, values in connection.response[0]["raw_attributes"].items()}

        assert sizes == {"member": 1600, "member;range=0-1499": 1500, "member;range=1500-*": 100}

    def test_five_thousand(self, samba_ad: SambaAd) -> None:
        """5,000 accounts can be paged through, each with an objectGUID of its own."""
        with service(samba_ad) as connection:
            found = list(entries(connection, samba_ad.bulk_dn, "(objectClass=user)", "objectGUID"))

        assert len({entry["objectGUID"][0] for entry in found}) == samba_ad.bulk == 5000

    def test_renamed_moved_deleted(self, samba_ad: SambaAd) -> None:
        """An account keeps its objectGUID under a new name and in another OU, and the old name is gone."""
        samba_ad.create_user("maiden", "Str0ng-names")
        guid = samba_ad.guid_of("maiden")
        samba_ad.rename("maiden", "married")
        moved = samba_ad.move("married", samba_ad.leavers_dn)
        codes = [subcode(samba_ad, name, "Str0ng-names") for name in ("maiden", "married")]
        with service(samba_ad) as connection:
            connection.search(f"<GUID={guid}>", "(objectClass=*)", BASE, attributes=["1.1"])
            by_guid = connection.response[0]["dn"]
        samba_ad.delete("married")

        assert isinstance(guid, uuid.UUID)
        assert codes == ["52e", "0"]
        assert f"CN=married,{samba_ad.leavers_dn}" == moved == by_guid
        assert subcode(samba_ad, "married", "Str0ng-names") == "52e"

    def test_tools(self, samba_ad: SambaAd) -> None:
        """samba-tool, LDIF over LDAP and LDIF on the files change the running server."""
        dn = samba_ad.create_user("tooled", "Str0ng-tools")
        samba_ad.samba_tool("user", "disable", "tooled")
        change = "dn: {}\nchangetype: modify\nreplace: {}\n{}: changed\n"
        samba_ad.modify_ldif(change.format(dn, "description", "description"))
        samba_ad.modify_files(change.format(dn, "title", "title"))
        entry = samba_ad.entry("tooled")

        assert [entry[name] for name in ("userAccountControl", "description", "title")] == [
            [b"514"],
            [b"changed"],
            [b"changed"],
        ]


def test_nothing_outlives_a_killed_test_process(tmp_path: Path) -> None:
    """The servers, the relay and the domain controller behind it end with the process that started them."""
    program = (
        "import pathlib, sys\n"
        "from tests.support.directories.certificates import Authority\n"
        "from tests.support.directories.samba import SambaAd\n"
        "from tests.support.directories.slapd import Slapd\n"
        "authority = Authority(pathlib.Path(sys.argv[1]) / 'authority')\n"
        "with Slapd(authority), SambaAd(authority):\n"
        "    print('up', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, tmp_path]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=Path(__file__).parents[2]
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        family = psutil.Process(parent.pid).children(recursive=True)
        programs = {process.name() for process in family}
        parent.kill()

    assert {"slapd", "samba"} < programs
    eventually(lambda: not any(map(_runs, family)), what="the end of the servers")


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
