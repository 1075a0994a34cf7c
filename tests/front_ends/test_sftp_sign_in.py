"""Sign-in over SSH: nobody is let in by mistake, and every attempt counts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import paramiko
import pytest
from paramiko.common import (
    cMSG_DISCONNECT,
    cMSG_SERVICE_REQUEST,
    cMSG_USERAUTH_REQUEST,
)

from auth_backends.api import PUBLIC_UNAVAILABLE, Password, PublicKey
from server.sftp.authentication import Doorman
from tests.support.sftp_site import NAME, PASSWORD, SftpSite, serving_sftp
from tests.support.waiting import eventually


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SftpSite]:
    with serving_sftp(tmp_path) as site:
        yield site


@pytest.fixture(scope="module")
def rsa_key() -> paramiko.RSAKey:
    return paramiko.RSAKey.generate(2048)


def passwords_tried(site: SftpSite) -> list[str]:
    return [credential.secret.reveal() for credential in site.sign_in.tried if isinstance(credential, Password)]


def start_service(transport: paramiko.Transport) -> None:
    message = paramiko.Message()
    message.add_byte(cMSG_SERVICE_REQUEST)
    message.add_string("ssh-userauth")
    transport._send_user_message(message)


def password_request(name: str, password: str | bytes) -> paramiko.Message:
    message = paramiko.Message()
    message.add_byte(cMSG_USERAUTH_REQUEST)
    message.add_string(name)
    message.add_string("ssh-connection")
    message.add_string("password")
    message.add_boolean(False)
    message.add_string(password)
    return message


class Watching(paramiko.Transport):
    """Keeps the server's disconnect message."""

    said = ""

    def _parse_disconnect(self, message: paramiko.Message) -> None:
        message.get_int()
        self.said = message.get_text()


def watching(site: SftpSite) -> Watching:
    transport = Watching(("127.0.0.1", site.port))
    transport._handler_table = {**transport._handler_table, ord(cMSG_DISCONNECT): Watching._parse_disconnect}
    transport.start_client(timeout=20)
    return transport


@pytest.mark.parametrize(("name", "password"), [(NAME, "wrong"), ("nobody", PASSWORD), ("nobody", ""), (NAME, "")])
def test_wrong_credentials_stay_out(site: SftpSite, name: str, password: str) -> None:
    """An unknown user and a wrong password get USERAUTH_FAILURE, never a session."""
    with site.transport() as transport:
        with pytest.raises(paramiko.AuthenticationException):
            transport.auth_password(name, password, fallback=False)

        assert not transport.is_authenticated()
        assert site.sign_in.sessions == []


def test_none_is_no_way_in(site: SftpSite) -> None:
    """The method "none" is answered with what may be tried."""
    with site.transport() as transport, pytest.raises(paramiko.BadAuthenticationType) as refused:
        transport.auth_none(NAME)

    assert set(refused.value.allowed_types) == {"publickey", "keyboard-interactive", "password"}


def test_begin_auth_cannot_let_anybody_in(site: SftpSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asyncssh logs in whoever begin_auth gives a falsy answer for; ours is not asked for an answer."""
    monkeypatch.setattr(Doorman, "begin_auth", lambda _self, _name: None)
    with site.transport() as transport:
        with pytest.raises(paramiko.AuthenticationException):
            transport.auth_password(NAME, "wrong", fallback=False)

        assert not transport.is_authenticated()


@pytest.mark.parametrize("name", ["", "x" * 100, "ada\u0301", "../ada"])
def test_begin_auth_always_asks_for_authentication(site: SftpSite, name: str) -> None:
    """Whatever the name, the answer is True."""
    assert Doorman.begin_auth(Doorman.__new__(Doorman), name) is True


def test_a_broken_broker_lets_nobody_in(site: SftpSite) -> None:
    """An exception in sign-in is "cannot tell": a disconnect with the temporary text, without the exception's."""
    site.sign_in.failing = RuntimeError("secret detail")
    transport = watching(site)
    with pytest.raises((paramiko.SSHException, EOFError)):
        transport.auth_password(NAME, PASSWORD, fallback=False)
    eventually(lambda: not transport.is_active(), what="the disconnect")

    assert transport.said == PUBLIC_UNAVAILABLE
    assert site.sign_in.sessions == []


def test_cannot_tell_is_a_disconnect_with_the_reason(site: SftpSite) -> None:
    """TryLater disconnects with its sentence: a plain failure would say that the password is wrong."""
    site.sign_in.down = True
    transport = watching(site)
    with pytest.raises((paramiko.SSHException, EOFError)):
        transport.auth_password(NAME, PASSWORD, fallback=False)
    eventually(lambda: not transport.is_active(), what="the disconnect")

    assert transport.said == PUBLIC_UNAVAILABLE


def test_keyboard_interactive_asks_for_the_password(site: SftpSite) -> None:
    """It is the same attempt as the method "password"."""
    with site.transport() as transport:
        transport.auth_interactive(NAME, lambda _title, _instructions, prompts: [PASSWORD for _ in prompts])

        assert transport.is_authenticated()
        assert passwords_tried(site) == [PASSWORD]


@pytest.mark.parametrize("password", ["pass\U0001f600word", "\ufb01ne", "a\u00a0b", "e\u0301"])
def test_a_password_arrives_as_it_was_typed(site: SftpSite, password: str) -> None:
    """Asyncssh's SASLprep would disconnect for an emoji and change ligatures; a directory wants the typed bytes."""
    site.sign_in.passwords[NAME] = password
    with site.transport() as transport:
        transport.auth_password(NAME, password, fallback=False)

        assert transport.is_authenticated()


def test_a_password_that_is_no_text_is_refused(site: SftpSite) -> None:
    """Bytes that are not UTF-8 are a failed attempt, not a protocol error."""
    with site.transport() as transport:
        start_service(transport)
        transport._send_user_message(password_request(NAME, b"\xff\xfe"))
        eventually(lambda: site.sign_in.tried, what="the attempt")

        assert transport.is_active()
        assert passwords_tried(site) == [""]


def test_attempts_on_one_connection_are_limited(tmp_path: Path) -> None:
    """After max_auth_attempts the connection ends, and nothing more is tried."""
    with serving_sftp(tmp_path, sftp={"max_auth_attempts": 3}) as site, site.transport() as transport:
        outcomes = []
        for number in range(6):
            try:
                transport.auth_password(NAME, f"wrong {number}", fallback=False)
            except (paramiko.SSHException, EOFError) as error:
                outcomes.append(type(error).__name__)
        eventually(lambda: not transport.is_active(), what="the disconnect")

        assert outcomes[:3] == ["AuthenticationException"] * 3
        assert passwords_tried(site) == ["wrong 0", "wrong 1", "wrong 2"]


def test_pipelined_attempts_run_one_at_a_time_and_none_is_lost(tmp_path: Path) -> None:
    """A client that does not wait for answers cancels its attempts in asyncssh; here all of them run and count."""
    with serving_sftp(tmp_path, sftp={"max_auth_attempts": 5}) as site, site.transport() as transport:
        site.sign_in.hold = threading.Event()
        start_service(transport)
        for number in range(4):
            transport._send_user_message(password_request(NAME, f"guess {number}"))
        assert site.sign_in.arrived.acquire(timeout=20)
        site.sign_in.hold.set()
        eventually(lambda: len(site.sign_in.tried) == 4, what="all attempts")

        assert sorted(passwords_tried(site)) == [f"guess {number}" for number in range(4)]
        assert site.sign_in.most_inside == 1


def test_a_flood_of_attempts_ends_at_the_limit(tmp_path: Path) -> None:
    """200 pipelined passwords are counted when they begin: at most the limit reaches the broker."""
    with serving_sftp(tmp_path, sftp={"max_auth_attempts": 5}) as site, site.transport() as transport:
        site.sign_in.hold = threading.Event()
        start_service(transport)
        for number in range(200):
            try:
                transport._send_user_message(password_request(NAME, f"guess {number}"))
            except (OSError, EOFError):
                break
        eventually(lambda: not transport.is_active(), what="the disconnect")
        site.sign_in.hold.set()
        site.stop()

        assert len(site.sign_in.tried) <= 5


def test_a_session_that_nobody_takes_is_ended(site: SftpSite) -> None:
    """A right password whose answer the client did not wait for leaves no session behind."""
    with site.transport() as transport:
        site.sign_in.hold = threading.Event()
        start_service(transport)
        transport._send_user_message(password_request(NAME, PASSWORD))
        assert site.sign_in.arrived.acquire(timeout=20)
        transport.sock.close()
        site.sign_in.hold.set()
        eventually(lambda: site.sign_in.sessions and site.sign_in.sessions[0].over.is_set(), what="the session's end")

        assert site.sign_in.sessions[0].ended is not None


def test_an_offered_key_has_no_side_effects(site: SftpSite, rsa_key: paramiko.RSAKey, tmp_path: Path) -> None:
    """A key that is only asked about is no attempt at sign-in, whatever the answer."""
    public = tmp_path / "id.pub"
    public.write_text(f"{rsa_key.get_name()} {rsa_key.get_base64()} test\n")
    site.sign_in.keys[NAME] = {rsa_key.asbytes()}
    site.command(
        "ssh", "-i", str(public), "-o", "IdentitiesOnly=yes", "-o", "PreferredAuthentications=publickey",
        "-p", str(site.port), f"{NAME}@127.0.0.1",
    )  # fmt: skip

    assert site.sign_in.tried == []


def test_a_key_signs_in(site: SftpSite, rsa_key: paramiko.RSAKey) -> None:
    """The signed request reaches the broker once, with the key's blob."""
    site.sign_in.keys[NAME] = {rsa_key.asbytes()}
    with site.transport() as transport:
        transport.auth_publickey(NAME, rsa_key)

        assert transport.is_authenticated()
        assert site.sign_in.tried == [PublicKey(NAME, "ssh-rsa", rsa_key.asbytes())]


def test_a_wrong_signature_never_reaches_the_broker(
    site: SftpSite, rsa_key: paramiko.RSAKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is known is not enough."""
    site.sign_in.keys[NAME] = {rsa_key.asbytes()}
    other = paramiko.RSAKey.generate(2048)
    monkeypatch.setattr(rsa_key, "sign_ssh_data", other.sign_ssh_data)
    with site.transport() as transport:
        with pytest.raises(paramiko.AuthenticationException):
            transport.auth_publickey(NAME, rsa_key)

        assert site.sign_in.tried == []


def test_sha1_signatures_are_refused(site: SftpSite, rsa_key: paramiko.RSAKey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asyncssh would take an ssh-rsa (SHA-1) signature of an RSA key."""
    site.sign_in.keys[NAME] = {rsa_key.asbytes()}
    with site.transport() as transport:
        monkeypatch.setattr(rsa_key, "HASHES", {**rsa_key.HASHES, "ssh-rsa": _sha1()})
        monkeypatch.setattr(
            paramiko.auth_handler.AuthHandler, "_finalize_pubkey_algorithm", lambda _self, _key: "ssh-rsa"
        )
        with pytest.raises(paramiko.AuthenticationException):
            transport.auth_publickey(NAME, rsa_key)

        assert site.sign_in.tried == []


def _sha1() -> type:
    from cryptography.hazmat.primitives.hashes import SHA1

    return SHA1


def test_key_and_password_together(site: SftpSite, rsa_key: paramiko.RSAKey) -> None:
    """For local+key the key alone is refused, and the password after it on this connection is tried with it."""
    site.sign_in.keys[NAME] = {rsa_key.asbytes()}
    site.sign_in.both = {NAME}
    with site.transport() as transport:
        with pytest.raises(paramiko.AuthenticationException):
            transport.auth_publickey(NAME, rsa_key)
        transport.auth_interactive(NAME, lambda _title, _instructions, prompts: [PASSWORD for _ in prompts])
        last = site.sign_in.tried[-1]

        assert transport.is_authenticated()
        assert isinstance(last, PublicKey)
        assert last.second is not None


def test_a_proved_key_counts_for_its_name_only(site: SftpSite, rsa_key: paramiko.RSAKey) -> None:
    """After a switch of the user name, what the first name had proved is forgotten, also on the way back."""
    site.sign_in.keys[NAME] = {rsa_key.asbytes()}
    site.sign_in.both = {NAME}
    with site.transport() as transport:
        with pytest.raises(paramiko.AuthenticationException):
            transport.auth_publickey(NAME, rsa_key)
        with pytest.raises(paramiko.AuthenticationException):
            transport.auth_password("grace", "x", fallback=False)
        with pytest.raises(paramiko.AuthenticationException):
            transport.auth_password(NAME, PASSWORD, fallback=False)

        assert [type(credential) for credential in site.sign_in.tried] == [PublicKey, Password, Password]
        assert site.sign_in.sessions == []


@pytest.mark.parametrize("principals", [(), (NAME,)])
@pytest.mark.system
def test_certificates_are_refused(site: SftpSite, tmp_path: Path, principals: tuple[str, ...]) -> None:
    """No certificate authority is configured; asyncssh lets one without principals in under any name."""
    authority = asyncssh.generate_private_key("ssh-ed25519")
    key = asyncssh.generate_private_key("ssh-ed25519")
    certificate = authority.generate_user_certificate(key, "id", principals=principals)
    identity = tmp_path / "id"
    key.write_private_key(identity)
    identity.chmod(0o600)
    certificate.write_certificate(tmp_path / "id-cert.pub")
    site.sign_in.keys[NAME] = {authority.public_data}
    done = site.command(
        "sftp", "-o", "PreferredAuthentications=publickey", "-o", f"CertificateFile={tmp_path / 'id-cert.pub'}",
        "-o", f"IdentityFile={identity}", "-o", "IdentitiesOnly=yes", "-P", str(site.port), f"{NAME}@127.0.0.1",
    )  # fmt: skip

    assert done.returncode != 0
    assert site.sign_in.tried == []
