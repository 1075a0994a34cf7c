"""TLS to a directory: whom to believe, and that nothing secret is said before."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from auth_backends.api import Accepted, Reason, Rejected, Secret, Unavailable
from auth_backends.ldap.connection import LdapConnection
from auth_backends.ldap.deadline import Deadline
from auth_backends.ldap.errors import TlsFailed
from auth_backends.ldap.transport import Transport
from config.ldap import LdapProvider
from tests.support.directories.certificates import Authority
from tests.support.directories.hostile import HostileLdap, Misbehaviour
from tests.support.directories.judges import (
    ALICE,
    PASSWORD,
    SERVICE_PASSWORD,
    Certificate,
    Judge,
    Judges,
    Start,
    hostile_provider,
)
from tests.support.directories.sites import provider_for
from tests.support.directories.slapd import Slapd
from tests.support.waiting import eventually

pytestmark = pytest.mark.system


def untrusted(provider: LdapProvider, server: HostileLdap) -> str:
    """Sign in; give what the backend says of it, when nothing of either password came to the server."""
    with Judge(provider) as judge:
        verdict = judge.verdict(judge.alice(), PASSWORD)
    assert isinstance(verdict, Unavailable)
    assert not any(secret.encode() in b"".join(server.received) for secret in (PASSWORD, SERVICE_PASSWORD))
    assert server.binds == []
    return verdict.detail


def test_an_unknown_authority_gets_no_password(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory, start: Start
) -> None:
    """The certificate is by somebody else (L5); ldap3's default accepts it."""
    other = Authority(tmp_path_factory.mktemp("other"))
    server = start(Misbehaviour.BIND_SUCCESS_ALWAYS, tls=other.issue("impostor"))

    assert "not by a trusted authority" in untrusted(hostile_provider(authority, server), server)


def test_another_name_gets_no_password(authority: Authority, start: Start) -> None:
    """The certificate is by our authority, for another server."""
    server = start(Misbehaviour.BIND_SUCCESS_ALWAYS, tls=authority.issue("other", dns=("other.test",), ips=()))

    assert "not for 'localhost'" in untrusted(hostile_provider(authority, server), server)


def test_a_common_name_is_no_name(authority: Authority, start: Start) -> None:
    """A certificate whose only name is the common name."""
    server = start(tls=authority.issue("localhost", dns=(), ips=()))

    assert "not for 'localhost'" in untrusted(hostile_provider(authority, server), server)


def test_an_expired_certificate_gets_no_password(authority: Authority, start: Start) -> None:
    """It ran out yesterday."""
    server = start(Misbehaviour.BIND_SUCCESS_ALWAYS, tls=authority.issue("old", expired=True))

    assert "has expired" in untrusted(hostile_provider(authority, server), server)


def test_an_address_is_a_name_if_the_certificate_has_it(authority: Authority, start: Start, judges: Judges) -> None:
    """An IP address among the names is accepted, unlike by ldap3's own check on Python 3.12; without, it is not."""
    server = start(tls=authority.issue("address", dns=(), ips=("127.0.0.1",)))
    judge = judges(hostile_provider(authority, f"127.0.0.1:{server.port}"))
    nameless = start(tls=authority.issue("named", ips=()))

    assert isinstance(judge.verdict(judge.alice(), PASSWORD), Accepted)
    assert "not for '127.0.0.1'" in untrusted(hostile_provider(authority, f"127.0.0.1:{nameless.port}"), nameless)


def test_the_name_may_be_given_where_the_host_is_an_address(authority: Authority, start: Start, judges: Judges) -> None:
    """``tls_name`` is what the certificate is held against, and what the server is told (SNI)."""
    server = start(tls=authority.issue("named", dns=("ldap.lab.test",), ips=()))
    judge = judges(hostile_provider(authority, f"127.0.0.1:{server.port}", tls_name="ldap.lab.test"))

    assert isinstance(judge.verdict(judge.alice(), PASSWORD), Accepted)


def test_a_subordinate_authority_may_be_trusted_alone(authority: Authority, start: Start, judges: Judges) -> None:
    """Whom the admin names is trusted: the server's own certificate, if need be."""
    files = authority.issue("pinned")
    judge = judges(hostile_provider(authority, start(tls=files), ca_file=files[0]))

    assert isinstance(judge.verdict(judge.alice(), PASSWORD), Accepted)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_an_authority_that_cannot_be_read_is_no_verdict(
    content: bytes | None, authority: Authority, start: Start, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A missing or broken ``ca_file`` is said, and nobody is trusted instead."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    server = start(Misbehaviour.BIND_SUCCESS_ALWAYS)
    provider = hostile_provider(authority, server).model_copy(update={"ca_file": path})

    assert "ca_file" in untrusted(provider, server)


# StartTLS ----------------------------------------------------------------------------------------


def test_starttls(authority: Authority, certificate: Certificate, start: Start, judges: Judges) -> None:
    """The password goes out encrypted: nothing of it is in what the server got before TLS."""
    server = start(tls=None, starttls=certificate)
    judge = judges(hostile_provider(authority, server, security="starttls"))

    assert isinstance(judge.verdict(judge.alice(), PASSWORD), Accepted)
    assert Rejected(Reason.WRONG_PASSWORD) == judge.verdict(judge.alice(), "wrong")


@pytest.mark.parametrize(
    "mode", [Misbehaviour.REFUSE_STARTTLS, Misbehaviour.STRIP_STARTTLS, Misbehaviour.INJECT_AFTER_STARTTLS]
)
def test_starttls_refused_or_stripped_gets_no_password(
    mode: Misbehaviour, authority: Authority, certificate: Certificate, start: Start
) -> None:
    """Not a byte of a credential goes over a connection that did not become TLS (L4)."""
    server = start(mode, tls=None, starttls=certificate)

    detail = untrusted(hostile_provider(authority, server, security="starttls"), server)
    assert ("refuses StartTLS" in detail) == (mode is Misbehaviour.REFUSE_STARTTLS)


def test_no_bind_without_tls(authority: Authority, start: Start) -> None:
    """Whatever a caller does: a connection that is not TLS sends no password."""
    server = start(tls=None)
    deadline = Deadline.after(1)
    transport = Transport.connect([(socket.AF_INET, "127.0.0.1", server.port)], "here", deadline)
    connection = LdapConnection(transport, ("127.0.0.1", server.port), deadline)
    with pytest.raises(TlsFailed):
        connection.bind(ALICE, Secret(PASSWORD))
    connection.close()

    assert server.binds == []


def test_a_replaced_file_of_authorities_counts_at_once(slapd: Slapd, tmp_path: Path) -> None:
    """Renewed in its place, without a restart and without a change of the settings."""
    ca_file = tmp_path / "ca.pem"
    other = Authority(tmp_path / "other")
    ca_file.write_bytes(other.ca_file.read_bytes())
    with Judge(provider_for(slapd, ca_file=ca_file)) as judge:
        account = judge.of_slapd(slapd, slapd.add_person("renewed", PASSWORD))
        before = judge.verdict(account, PASSWORD)
        (tmp_path / "new.pem").write_bytes(slapd.ca_file.read_bytes())
        (tmp_path / "new.pem").rename(ca_file)
        eventually(lambda: isinstance(judge.verdict(account, PASSWORD), Accepted), what="the breaker", within_s=20)

    assert isinstance(before, Unavailable)
