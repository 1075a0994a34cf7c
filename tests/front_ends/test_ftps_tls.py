"""Nothing that matters is said or sent in clear."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ftps_site import FtpsSite, serving_ftps, write_certificate
from tests.support.raw_ftp import RawFtp
from tests.support.waiting import eventually


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FtpsSite]:
    with serving_ftps(tmp_path) as site:
        yield site


@pytest.mark.parametrize(
    "line",
    ["USER ada", "PASS correct horse", "PBSZ 0", "PROT P", "PASV", "LIST", "STOR /a", "STAT", "SITE HELP", "REIN"],
)
def test_in_clear_nothing_is_served(site: FtpsSite, line: str) -> None:
    """530 before AUTH TLS, and no password is looked at."""
    with RawFtp(site) as client:
        assert client.ask(line).startswith("530 ")
        assert site.sign_in.tried == []


def test_what_a_client_asks_before_tls_is_answered(site: FtpsSite) -> None:
    """FEAT, SYST, OPTS UTF8 ON, CLNT and NOOP work in clear: clients send them first."""
    with RawFtp(site) as client:
        assert " AUTH TLS\n" in client.ask("FEAT")
        assert client.ask("SYST").startswith("215 UNIX")
        assert client.ask("OPTS UTF8 ON").startswith("200 ")
        assert client.ask("CLNT probe").startswith("200 ")
        assert client.ask("NOOP").startswith("200 ")


def test_the_banner_names_no_software(site: FtpsSite) -> None:
    """Neither the greeting nor HELP, STAT and SYST tell what runs here."""
    with RawFtp(site, greet=False) as client:
        said = client.reply() + client.ask("SYST") + client.ask("HELP")
        client.login()
        said += client.ask("STAT")

        assert "pyftpdlib" not in said.lower()
        assert "2.2" not in said


@pytest.mark.parametrize("behind", [["FEAT"], ["USER evil", "PASS evil"], ["NO"]], ids=str)
def test_commands_behind_auth_never_reach_the_inside_of_tls(site: FtpsSite, behind: list[str]) -> None:
    """STARTTLS injection (CVE-2011-0411): 500, and the connection is closed."""
    with RawFtp(site) as client:
        client.send("AUTH TLS", *behind)

        assert client.reply().startswith("500 ")
        assert client.closed()
        assert site.sign_in.tried == []


def test_half_a_command_behind_auth_is_refused_too(site: FtpsSite) -> None:
    """Not even bytes without a line end stay."""
    with RawFtp(site) as client:
        client.sock.sendall(b"AUTH TLS\r\nUSER ev")

        assert client.reply().startswith("500 ")
        assert client.closed()


def test_a_name_given_in_clear_is_forgotten(site: FtpsSite) -> None:
    """USER before AUTH is refused, and PASS after it finds no name."""
    with RawFtp(site) as client:
        client.ask("USER ada")
        client.secure()

        assert client.ask("PASS correct horse").startswith("503 ")
        assert site.sign_in.tried == []


@pytest.mark.parametrize(
    "line", ["PASV", "EPSV", "PORT 127,0,0,1,200,10", "LIST", "MLSD", "RETR /a", "STOR /a", "APPE /a", "STOU"]
)
def test_data_in_clear_is_refused(site: FtpsSite, line: str) -> None:
    """521 until PROT P: on what opens a data connection and on what uses it."""
    with RawFtp(site).secure() as client:
        client.ask("USER ada")
        client.ask("PASS correct horse")

        assert client.ask(line).startswith("521 ")


def test_protection_cannot_be_lowered(site: FtpsSite) -> None:
    """PROT C between PASV and STOR is refused 534, and the transfer is still TLS (it was not in pyftpdlib)."""
    with RawFtp(site).login() as client:
        sock = client.connect()
        assert client.ask("PROT C").startswith("534 ")
        assert client.ask("PROT S").startswith("536 ")
        assert client.ask("CCC").startswith("533 ")
        assert client.ask("STOR /a")[:4] in {"150 ", "125 "}
        sock.sendall(b"in clear\r\n" * 10)
        sock.shutdown(socket.SHUT_WR)

        assert client.reply()[:3] in {"522", "426"}
        assert site.names() == []


def test_prot_needs_pbsz(site: FtpsSite) -> None:
    """503 without it (RFC 4217 section 9)."""
    with RawFtp(site).secure() as client:
        assert client.ask("PROT P").startswith("503 ")


def test_auth_twice_is_refused(site: FtpsSite) -> None:
    """Inside TLS there is no second TLS; other mechanisms are unknown."""
    with RawFtp(site) as client:
        assert client.ask("AUTH KERBEROS").startswith("504 ")
        client.secure()
        assert client.ask("AUTH TLS").startswith("503 ")


def test_implicit_tls_greets_inside_tls_with_private_data(site: FtpsSite) -> None:
    """No byte goes out in clear, AUTH is refused, and data connections are private without being asked."""
    with RawFtp(site, implicit=True) as client:
        assert client.ask("AUTH TLS").startswith("503 ")
        client.ask("USER ada")
        assert client.ask("PASS correct horse").startswith("230 ")
        client.upload("STOR /a", b"data")

        assert site.get("/a") == b"data"


def test_clear_text_on_the_implicit_port_gets_no_answer(site: FtpsSite) -> None:
    """A client that speaks FTP there is disconnected, not served."""
    with socket.create_connection(("127.0.0.1", site.implicit_port), timeout=20) as sock:
        sock.sendall(b"USER ada\r\nPASS x\r\n" * 10)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while data := sock.recv(1000):
                answer += data

        assert not answer.startswith(b"2")
        assert site.sign_in.tried == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_refused(site: FtpsSite, version: ssl.TLSVersion) -> None:
    """TLS 1.2 is the oldest."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", site.implicit_port), timeout=20) as sock,
        pytest.raises((ssl.SSLError, OSError)),
    ):
        context.wrap_socket(sock, server_hostname="localhost")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_new_tls_is_strong(site: FtpsSite, version: ssl.TLSVersion) -> None:
    """Whatever is negotiated is AEAD; with TLS 1.2 it is forward secret too."""
    with RawFtp(site) as client:
        client.context.minimum_version = client.context.maximum_version = version
        client.secure()
        assert isinstance(client.sock, ssl.SSLSocket)
        cipher = client.sock.cipher()

        assert cipher is not None
        assert "GCM" in cipher[0] or "CHACHA20" in cipher[0]
        assert cipher[0].startswith(("ECDHE", "TLS_"))
        client.login()
        assert client.upload("STOR /a", b"data").startswith("226 ")


def test_a_weak_suite_is_not_offered(site: FtpsSite) -> None:
    """CBC and plain RSA fail to negotiate."""
    context = site.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:AES128-GCM-SHA256")
    with socket.create_connection(("127.0.0.1", site.implicit_port), timeout=20) as sock, pytest.raises(ssl.SSLError):
        context.wrap_socket(sock, server_hostname="localhost")


def test_a_new_certificate_is_shown_to_the_next_client(site: FtpsSite) -> None:
    """No restart is needed, and who is connected stays so; a broken file changes nothing."""
    with RawFtp(site).login() as before:
        certificate, key = write_certificate(site.folder, "renewed.test")
        new, old = certificate.read_bytes(), site.certificate.read_bytes()
        site.key.write_bytes(key.read_bytes())
        site.certificate.write_bytes(new)
        assert shown_certificate(site) == ssl.PEM_cert_to_DER_cert(new.decode())
        site.certificate.write_bytes(b"nonsense")
        assert shown_certificate(site) == ssl.PEM_cert_to_DER_cert(new.decode())
        site.certificate.write_bytes(old)

        assert before.upload("STOR /a", b"data").startswith("226 ")


def shown_certificate(site: FtpsSite) -> bytes:
    """Connect and give the server's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sock = socket.create_connection(("127.0.0.1", site.implicit_port), timeout=20)
    with context.wrap_socket(sock) as tls:
        return tls.getpeercert(binary_form=True) or b""


def test_a_stranger_cannot_take_a_data_connection_where_reuse_is_required(tmp_path: Path) -> None:
    """With require_session_reuse, only the TLS session of this very control connection opens the data channel."""
    with serving_ftps(tmp_path, require_session_reuse=True) as site:
        site.put("/secret", b"ada's")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with RawFtp(site) as ada, RawFtp(site).login("bob", "battery staple") as thief:
                ada.context.minimum_version = ada.context.maximum_version = version
                ada.login()
                for session in (None, thief.sock.session):  # type: ignore[attr-defined]  # it is TLS by now
                    stolen = socket.create_connection(("127.0.0.1", ada.passive()), timeout=20)
                    assert ada.ask("RETR /secret")[:4] in {"150 ", "125 "}
                    got = b""
                    try:
                        with thief.context.wrap_socket(stolen, server_hostname="localhost", session=session) as data:
                            got = data.recv(100)
                    except (OSError, ssl.SSLError):
                        pass
                    assert (got, ada.reply()[:3]) == (b"", "522")

                assert ada.download("RETR /secret")[0] == b"ada's"


def test_a_data_handshake_that_fails_is_answered(site: FtpsSite) -> None:
    """522 or 426, once, and the session goes on: garbage, and a connection that closes at once."""
    with RawFtp(site).login() as client:
        for end in (b"garbage" * 100, b""):
            sock = client.connect()
            assert client.ask("STOR /a")[:4] in {"150 ", "125 "}
            sock.sendall(end)
            sock.close()
            assert client.reply()[:3] in {"522", "426"}

        eventually(lambda: client.ask("NOOP") == "200 Nothing to do.", what="the session to go on")
        assert client.upload("STOR /a", b"data").startswith("226 ")
