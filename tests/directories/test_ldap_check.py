"""The staged check says in plain words which step fails and what to change."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from auth_backends.ldap.check import Outcome, Stage, run_check
from auth_backends.ldap.password_policy import OID
from config.ldap import LdapProvider
from tests.support.directories.certificates import Authority
from tests.support.directories.hostile import Blackhole, Misbehaviour, Operation
from tests.support.directories.judges import (
    ALICE,
    ALICE_ID,
    BASE,
    SERVICE_PASSWORD,
    Certificate,
    Start,
    hostile_provider,
)
from tests.support.directories.samba import SambaAd
from tests.support.directories.sites import provider_for
from tests.support.directories.slapd import Slapd

pytestmark = pytest.mark.system

WAY = ["settings", "DNS", "TCP", "certificate authority", "certificate name", "certificate validity", "service account"]
CONTENT = ["base", "users", "immutable ids", "groups", "lock-out", "changes"]
PERSON = ["user", "user's lock-out", "user's groups"]


def failure(provider: LdapProvider, login: str | None = None) -> tuple[Stage, list[str]]:
    """Give the one step that failed, and the names of those before it; nothing secret is in any."""
    stages = list(run_check(provider, login=login))
    failed = [stage for stage in stages if not stage.ok]
    assert len(failed) == 1, stages
    assert provider.bind_password not in repr(stages)
    return failed[0], [stage.name for stage in stages if stage.ok]


def test_all_is_well_at_openldap(slapd: Slapd) -> None:
    """Every step, in order, with what it found."""
    dn = slapd.add_person("checked")
    slapd.add_group("checkers", [dn])
    stages = list(run_check(provider_for(slapd), login="checked"))
    told = {stage.name: stage for stage in stages}

    assert [stage.name for stage in stages] == [*WAY, *CONTENT, *PERSON]
    assert {stage.name for stage in stages if stage.outcome is not Outcome.OK} == {"certificate validity"}
    assert "8 days left" in told["certificate validity"].detail
    assert dn in told["user"].detail
    assert "checkers" in told["user's groups"].detail
    assert "after 5 wrong passwords within 300 s; we stop after 4" in told["lock-out"].detail
    assert {f"localhost:{slapd.tls_port}"} == {stage.host for stage in stages[1:7]}


def test_all_is_well_at_active_directory(samba_ad: SambaAd) -> None:
    r"""With the domain's name, nested groups, and an alias or DOMAIN\name for the person."""
    stages = {stage.name: stage for stage in run_check(provider_for(samba_ad), login="CORP\\alice")}
    by_upn = {stage.name: stage for stage in run_check(provider_for(samba_ad), login="alice@corp.test")}

    assert all(stage.ok for stage in stages.values())
    assert stages["user"] == by_upn["user"]
    assert {"engineering", "staff"} <= set(stages["user's groups"].detail.split(", "))
    assert "CORP\\name" in stages["domain"].detail
    assert "50 or more" in stages["users"].detail


# The way -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"user_filter": "(uid=*)(uid=*)"}, "user_filter"),
        ({"group_filter": "((uid=*))"}, "group_filter"),
        ({"base_dn": "dc=lab,=test"}, "base_dn"),
        ({"user_base_dn": "ou=people,dc=other,dc=test"}, "not below base_dn"),
        ({"bind_password": "  "}, "bind_password"),
    ],
)
def test_settings(settings: dict[str, str], word: str, slapd: Slapd) -> None:
    """What can be seen without a server is said before any is asked."""
    provider = provider_for(slapd).model_copy(update=settings)
    stage, before = failure(provider)

    assert (stage.name, before) == ("settings", [])
    assert word in stage.detail


def test_ca_file(slapd: Slapd, tmp_path: Path) -> None:
    """A file that holds no certificate."""
    (tmp_path / "ca.pem").write_text("no certificate")
    stage, _ = failure(provider_for(slapd, ca_file=tmp_path / "ca.pem"))

    assert "holds no certificate" in stage.detail


def test_dns(slapd: Slapd) -> None:
    """A name without an address."""
    stage, before = failure(provider_for(slapd, hosts=("nowhere.invalid",)))

    assert (stage.name, before) == ("DNS", WAY[:1])
    assert "nowhere.invalid" in stage.detail


def test_tcp(authority: Authority, slapd: Slapd) -> None:
    """A closed port, and one that swallows everything, within the time of a step."""
    with Blackhole() as hole:
        began = time.monotonic()
        silent, _ = failure(hostile_provider(authority, f"127.0.0.1:{hole.port}"))
        took_s = time.monotonic() - began
    closed, before = failure(provider_for(slapd, hosts=(f"127.0.0.1:{hole.port}",)))

    assert {"TCP"} == {silent.name, closed.name}
    assert before == WAY[:2]
    assert ("in time" in silent.detail, "refused" in closed.detail) == (True, True)
    assert took_s < 2.0


def test_chain(authority: Authority, slapd: Slapd, tmp_path: Path) -> None:
    """An unknown authority is named, with what is trusted now."""
    other = Authority(tmp_path)
    stage, before = failure(provider_for(slapd, ca_file=other.ca_file))

    assert (stage.name, before) == ("certificate authority", WAY[:3])
    assert "it is by Test authority" in stage.detail
    assert str(other.ca_file) in stage.advice


def test_name(slapd: Slapd) -> None:
    """Another name: the authority is right, and the certificate's own names are listed."""
    stage, before = failure(provider_for(slapd, tls_name="other.test"))

    assert (stage.name, before) == ("certificate name", WAY[:4])
    assert "it is for localhost, 127.0.0.1" in stage.detail


def test_validity(authority: Authority) -> None:
    """Yesterday's certificate, with its date."""
    with Slapd(authority, expired_certificate=True) as old:
        stage, before = failure(provider_for(old))

    assert (stage.name, before) == ("certificate validity", WAY[:3])
    assert "good until" in stage.detail


def test_no_tls(slapd: Slapd) -> None:
    """LDAPS at the port for StartTLS, and StartTLS at the port for LDAPS."""
    wrong = (("ldaps", slapd.port), ("starttls", slapd.tls_port))
    for security, port in wrong:
        stage, _ = failure(provider_for(slapd, hosts=(f"localhost:{port}",), security=security, timeout_s=2))

        assert stage.name == {"ldaps": "certificate authority", "starttls": "StartTLS"}[security]
        assert "security =" in stage.advice


@pytest.mark.parametrize("mode", [Misbehaviour.REFUSE_STARTTLS, Misbehaviour.STRIP_STARTTLS])
def test_starttls_refused(mode: Misbehaviour, authority: Authority, certificate: Certificate, start: Start) -> None:
    """Said, and no password sent."""
    server = start(mode, tls=None, starttls=certificate)
    stage, _ = failure(hostile_provider(authority, server, security="starttls"))

    assert stage.name == "StartTLS"
    assert SERVICE_PASSWORD.encode() not in b"".join(server.received)


def test_service_account(slapd: Slapd, samba_ad: SambaAd) -> None:
    """A wrong password, and on Active Directory also why else; neither shows what was sent."""
    wrong, before = failure(provider_for(slapd, bind_password="wrong-service-password"))
    samba_ad.create_user("svc-disabled", "Str0ng-service")
    samba_ad.disable("svc-disabled")
    disabled, _ = failure(provider_for(samba_ad, bind_user="svc-disabled@corp.test", bind_password="Str0ng-service"))

    assert (wrong.name, before[-1]) == ("service account", "certificate validity")
    assert "bind_password" in wrong.advice
    assert "disabled" in disabled.advice


def test_every_server_is_tried(slapd: Slapd) -> None:
    """One that is down does not hide the others."""
    provider = provider_for(slapd, hosts=("localhost:1", f"127.0.0.1:{slapd.tls_port}", f"localhost:{slapd.tls_port}"))
    stages = list(run_check(provider))

    assert [stage.host for stage in stages if not stage.ok] == ["localhost:1"]
    assert [stage.name for stage in stages].count("service account") == 2
    assert [stage.name for stage in stages].count("users") == 1


def test_a_refused_password_is_sent_once(authority: Authority) -> None:
    """Servers tell each other of failures: a wrong one at each of three could lock the service account."""
    with Slapd(authority) as own:
        hosts = (f"localhost:{own.tls_port}", f"127.0.0.1:{own.tls_port}")
        stages = list(run_check(provider_for(own, hosts=hosts, bind_password="wrong")))

        assert own.binds(own.service_dn) == 1
    last = stages[-1]
    assert (last.name, last.outcome) == ("service account", Outcome.WARN)
    assert "not tried" in last.detail


# What is there -----------------------------------------------------------------------------------


def test_base(slapd: Slapd) -> None:
    """A base that is not there; the server says which it has."""
    stage, _ = failure(provider_for(slapd, base_dn="dc=nowhere,dc=test"))

    assert stage.name == "base"
    assert "dc=lab,dc=test" in stage.advice


def test_users(slapd: Slapd) -> None:
    """A filter that takes nobody; one that takes entries without a name or without an id."""
    nobody, _ = failure(provider_for(slapd, user_filter="(uid=nobody-at-all)"))
    slapd.add_person("with-name")
    without_id, _ = failure(provider_for(slapd, id_attribute="employeeNumber"))
    stages = {stage.name: stage for stage in run_check(provider_for(slapd, user_filter="(objectClass=*)"))}

    assert (nobody.name, without_id.name) == ("users", "immutable ids")
    assert stages["users"].outcome is Outcome.WARN
    assert "have no uid" in stages["users"].detail


def test_person(slapd: Slapd) -> None:
    """Nobody of that name, two of that name, the service account, and somebody without groups or id."""
    slapd.add_person("same-one", mail="same@lab.test")
    lonely = slapd.add_person("same-two", mail="same@lab.test")
    provider = provider_for(slapd, alias_attributes=("mail",))
    nobody, _ = failure(provider, "nobody-at-all")
    both, _ = failure(provider, "same@lab.test")
    everybody = provider_for(slapd, user_filter="(objectClass=*)", login_attribute="cn")
    service, _ = failure(everybody, "svc-quaymaster")
    stages = {stage.name: stage for stage in run_check(provider, login="same-two")}

    assert {"user"} == {stage.name for stage in (nobody, both, service)}
    assert "more than one" in both.detail
    assert "service account" in service.detail
    assert stages["user's groups"].outcome is Outcome.WARN
    assert lonely in stages["user"].detail


@pytest.mark.parametrize(
    ("threshold", "outcome", "word"),
    [(0, Outcome.OK, "never locks"), (1, Outcome.WARN, "after the first"), (3, Outcome.OK, "we stop after 2")],
)
def test_lockout(threshold: int, outcome: Outcome, word: str, slapd: Slapd) -> None:
    """A threshold of one cannot be kept, and is warned of."""
    slapd.add_person(f"threshold{threshold}")
    stages = {stage.name: stage for stage in run_check(provider_for(slapd, lockout_threshold=threshold))}

    assert stages["lock-out"].outcome is outcome
    assert word in stages["lock-out"].detail


@pytest.mark.parametrize("vendor", ["openldap", "active-directory"])
def test_what_cannot_be_seen_is_warned_of(vendor: str, authority: Authority, start: Start) -> None:
    """No group, no settings for locking, no mark of changes, no domain: each with what it means."""
    person = {"objectClass": [b"inetOrgPerson", b"user"], "objectCategory": [b"person"], "uid": [b"alice"]}
    person |= {"sAMAccountName": [b"alice"], "entryUUID": [ALICE_ID.encode()], "objectGUID": [b"0123456789abcdef"]}
    entries = {BASE: {"dc": [b"lab"]}, ALICE: person, "": {"supportedControl": [OID.encode()]}}
    provider = hostile_provider(authority, start(entries=entries), vendor=vendor, lockout_threshold=None)
    stages = list(run_check(provider, login="alice"))
    warned = {stage.name: stage for stage in stages if stage.outcome is Outcome.WARN}
    expected = {"certificate validity", "groups", "lock-out", "changes", "user's lock-out", "user's groups"}

    assert all(stage.ok for stage in stages)
    assert set(warned) == expected | ({"domain"} if vendor == "active-directory" else set())
    assert all(stage.advice for stage in warned.values())
    assert "lockout_threshold" in warned["lock-out"].advice


def test_a_certificate_without_a_name(authority: Authority, start: Start) -> None:
    """Old ones have only a common name, which is no name any more: said, since the admin sees it there."""
    stage, _ = failure(hostile_provider(authority, start(tls=authority.issue("localhost", dns=(), ips=()))))

    assert stage.name == "certificate name"
    assert "a common name is none" in stage.detail


def test_a_person_without_an_id(authority: Authority, start: Start) -> None:
    """Found, and cannot be linked."""
    people = {
        f"uid={name},{BASE}": {"uid": [name.encode()], "objectClass": [b"inetOrgPerson"]}
        for name in ("with", "without")
    }
    people[f"uid=with,{BASE}"]["entryUUID"] = [ALICE_ID.encode()]
    provider = hostile_provider(authority, start(entries={BASE: {"dc": [b"lab"]}, **people}))
    stages = {stage.name: stage for stage in run_check(provider, login="without")}

    assert "has no readable entryUUID" in stages["user"].detail
    assert "1 of 2" in stages["immutable ids"].detail


@pytest.mark.parametrize("mode", [Misbehaviour.SILENT, Misbehaviour.GARBAGE, Misbehaviour.RESULT_CODE])
@pytest.mark.parametrize("at", [Operation.BIND, Operation.SEARCH])
def test_it_never_hangs(mode: Misbehaviour, at: Operation, authority: Authority, start: Start) -> None:
    """A server that misbehaves at the bind or at the first search: the step fails in its time, and the check ends."""
    service = {"service_dn": None} if at is Operation.BIND else {}
    server = start(mode, at=at, code=51, **service)
    began = time.monotonic()
    stages = list(run_check(hostile_provider(authority, server), login="alice"))

    assert next(stage.name for stage in stages if not stage.ok) == {"bind": "service account", "search": "base"}[at]
    assert time.monotonic() - began < 4.0
