"""Whoever signs in at an identity provider has no password here, and the keys that they make there are theirs alone."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from auth_backends.ssh_keys import generate_key_pair
from storage.database.changes import Provision
from storage.database.records import Owner
from tests.support.chromium import Chromium
from tests.support.identity_providers.site import ANN, JOE, Person, RealProviders
from tests.support.waiting import eventually

pytestmark = pytest.mark.system

SignIn = Callable[[RealProviders, Chromium, Person], None]
WAYS: list[tuple[Person, SignIn]] = [(JOE, RealProviders.sign_in_by_saml), (ANN, RealProviders.sign_in_by_oidc)]
LOGIN_DENIED = 67  # curl: the server refused the login
HTTP_ERROR = 22
SSH_REFUSED = {5, 255}  # sshpass: asked again; sftp: the server let nobody in
END_S = 1.0


@dataclass(frozen=True, slots=True)
class Programs:
    """OpenSSH and curl as one person uses them."""

    site: RealProviders
    person: Person
    scratch: Path

    def sftp(self, commands: str, *, password: str = "", key: Path | None = None) -> int:
        """Run OpenSSH's sftp with this password or key and nothing else; its exit status."""
        ways = ("-o", "PreferredAuthentications=publickey", "-i", key) if key else ()
        how = ways or (
            "-o",
            "PreferredAuthentications=password,keyboard-interactive",
            "-o",
            "NumberOfPasswordPrompts=1",
        )
        safe = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes")
        batch = self.scratch / "batch"
        batch.write_text(commands)
        command = ["sftp", "-q", "-P", self.site.server.sftp_port, *safe, *how, "-o", "BatchMode=no", "-b", batch]
        return self._run(
            [*(["sshpass", "-e"] if password else []), *command, f"{self.person.login}@127.0.0.1"], password
        )

    def curl(self, way: str, password: str, *options: str) -> int:
        """Run curl by FTPS or WebDAV; its exit status."""
        server = self.site.server
        base = {"ftps": f"ftp://localhost:{server.ftps_port}", "webdav": f"https://localhost:{server.http_port}/dav"}
        trusted = ("--ssl-reqd", "--cacert", str(server.certificate))
        command = ["curl", "-sS", "--fail", *trusted, "--user", f"{self.person.login}:{password}"]
        return self._run([*command, *options, f"{base[way]}/from-{way}"], "")

    def _run(self, command: list[object], password: str) -> int:
        done = subprocess.run(
            [str(word) for word in command],
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.scratch), "SSHPASS": password},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        return done.returncode


@pytest.mark.parametrize(("person", "sign_in"), WAYS, ids=["saml", "oidc"])
def test_the_password_opens_nothing_and_the_keys_made_in_the_session_open_what_they_should(
    site: RealProviders, browser: Chromium, tmp_path: Path, person: Person, sign_in: SignIn
) -> None:
    """The decision table's rows for who signs in elsewhere, by real clients; and an end within a second."""
    programs = Programs(site, person, tmp_path)
    sign_in(site, browser, person)
    pair = generate_key_pair("laptop")
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_text(pair.private.reveal())
    browser.type("textarea[name=key]", pair.public.line)
    browser.submit("form[action='/account/keys']")
    browser.says(pair.public.fingerprint)
    browser.type("form[action='/account/api-keys'] input[name=title]", "backup")
    browser.submit("form[action='/account/api-keys']")
    api_key = browser.text_of("#secret")
    file = tmp_path / "file"
    file.write_bytes(b"what is sent")

    assert programs.sftp("ls", password=person.password) in SSH_REFUSED
    assert programs.curl("ftps", person.password) == LOGIN_DENIED
    assert programs.curl("webdav", person.password) == HTTP_ERROR
    site.server.forget_failures()
    for secret in (person.password, api_key):
        assert sign_in_here(site, person, secret) == "Wrong user name or password."
    site.server.forget_failures()

    assert programs.sftp(f"put {file} from-sftp", key=key) == 0
    assert programs.sftp("ls", password=api_key) == 0
    for way in ("ftps", "webdav"):
        assert programs.curl(way, api_key, "--upload-file", str(file)) == 0
        assert programs.curl(way, api_key, "--output", str(tmp_path / "back")) == 0
    home = site.server.home_of(person.login)
    assert {name: (home / name).read_bytes() for name in ("from-sftp", "from-ftps", "from-webdav")} == dict.fromkeys(
        ("from-sftp", "from-ftps", "from-webdav"), b"what is sent"
    )

    user = site.server.user(person.login)
    gone = Provision(user.provider or "", Owner.SCIM, user.method, person.object_id, person.login, active=False)
    site.server.store.apply(gone, actor="test")
    took = eventually(lambda: programs.sftp("ls", key=key) in SSH_REFUSED, what="the key's end")
    assert took < END_S + 1.0  # and the time of one sftp
    assert programs.curl("ftps", api_key) == LOGIN_DENIED
    assert programs.curl("webdav", api_key) == HTTP_ERROR
    browser.open(f"{site.origin}/account")
    browser.arrives(f"{site.origin}/sign-in")
    where = [file for file in site.server.data.rglob("*") if file.is_file()]
    assert not [file for file in [*where, site.server.log_file] if person.password.encode() in file.read_bytes()]


def sign_in_here(site: RealProviders, person: Person, secret: str) -> str:
    """Try the portal's own form in a browser, and give what it says."""
    with Chromium() as other:
        other.open(f"{site.origin}/sign-in")
        other.type("input[name=name]", person.login)
        other.type("input[name=password]", secret, enter=True)
        return other.text_of("[role=alert]")
