"""A real OpenLDAP server with a tree of its own, for tests of directory sign-in and sync.

It has ``memberof``, ``refint`` and ``ppolicy``; missing programs fail the test and never skip it.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest
from ldap3 import BASE, MODIFY_ADD, MODIFY_DELETE, MODIFY_REPLACE, NONE, SIMPLE, Connection, Server
from ldap3.utils.dn import escape_rdn, parse_dn

from tests.support.directories import slapd_files as files
from tests.support.directories.certificates import Authority, Identity
from tests.support.directories.processes import dying_with_parent, end, program
from tests.support.ports import claim_ports
from tests.support.waiting import eventually

PASSWORD = "Correct-H0rse"
LOCKED_FOR_GOOD = "000001010000Z"


class Slapd:
    """One slapd on free loopback ports; nothing of it outlives this process.

    ``port`` speaks LDAP and StartTLS, ``tls_port`` LDAPS, both with a certificate of ``authority`` for ``localhost``
    and 127.0.0.1. ``tls_names`` has the names put in the certificate instead (``{"dns": [...], "ips": [...]}``), and
    ``expired_certificate`` lets it have run out.

    With ``allow_anonymous_dn`` a bind with a DN and an empty password is answered with success, as Active Directory
    does; without it with 53, unwillingToPerform. ``lockout_threshold`` bad passwords within 300 s lock an account for
    30 minutes; only a client that sends the password policy control can tell that from a bad password.

    An ordinary account reads its own entry only; the service account reads everything but passwords. Searches by
    others than the service account and the administrator end after 500 entries. ``memberOf`` is direct membership.
    """

    ip = "127.0.0.1"
    host = "localhost"
    base_dn = files.BASE_DN
    admin_dn = files.ADMIN_DN
    admin_password = files.ADMIN_PASSWORD
    service_dn = files.SERVICE_DN
    service_password = files.SERVICE_PASSWORD
    policy_dn = files.POLICY_DN

    def __init__(
        self,
        authority: Authority,
        *,
        allow_anonymous_dn: bool = False,
        tls_names: dict[str, Sequence[str]] | None = None,
        expired_certificate: bool = False,
        lockout_threshold: int = 5,
    ) -> None:
        self._program = program("slapd")
        self._process: subprocess.Popen[bytes] | None = None
        self.directory = Path(tempfile.mkdtemp(prefix="slapd-"))
        (self.directory / "data").mkdir(mode=0o700)
        self.ca_file = authority.ca_file
        certificate, key = authority.issue("slapd", expired=expired_certificate, **(tls_names or {}))
        identity = Identity(authority.ca_file, certificate, key)
        self._configuration = self.directory / "slapd.conf"
        self._configuration.write_text(
            files.configuration(self.directory, identity, allow_anonymous_dn=allow_anonymous_dn)
        )
        self._ports = claim_ports()
        self.port, self.tls_port = self._ports.port(0), self._ports.port(1)
        first = self.directory / "first.ldif"
        first.write_text(files.first_entries(lockout_threshold))
        self._load(first)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def start(self) -> None:
        """Start the server, on the same ports and with the same entries as before, and return when it answers."""
        listeners = f"ldap://{self.ip}:{self.port}/ ldaps://{self.ip}:{self.tls_port}/"
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-d", "stats", "-f", self._configuration, "-h", listeners],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=self.directory,
                preexec_fn=dying_with_parent(),  # noqa: PLW1509 - a killed test run must leave no server behind
            )
        eventually(self._answers, what="slapd")

    def stop(self) -> None:
        """Stop the server: every connection breaks and new ones are refused; entries are kept."""
        if self._process is not None:
            end(self._process)
            self._process = None

    def remove(self) -> None:
        """Stop and delete everything."""
        self.stop()
        self._ports.release()
        shutil.rmtree(self.directory, ignore_errors=True)

    def log(self) -> str:
        """Give what the server logged: a line for each connection, operation and result, without passwords."""
        return (self.directory / "log").read_text(errors="replace")

    def binds(self, dn: str) -> int:
        """Give how many simple binds with this DN have reached the server, refused ones included."""
        return self.log().count(f' BIND dn="{dn}" method=128\n')

    def add_ldif(self, text: str) -> None:
        """Add the entries of an LDIF text."""
        self._ldif("ldapadd", text)

    def modify_ldif(self, text: str) -> None:
        """Make the changes of an LDIF text."""
        self._ldif("ldapmodify", text)

    def bulk_load(self, ldif: Path) -> None:
        """Add the entries of an LDIF file quickly, with the server stopped; start it again if it was running.

        The server's overlays see nothing of it: write ``memberOf`` and hashed passwords into the file where needed.
        """
        was_running = self._process is not None
        self.stop()
        self._load(ldif)
        if was_running:
            self.start()

    def entry(self, dn: str) -> dict[str, list[str]]:
        """Give every attribute of an entry, operational ones included; LDAPNoSuchObjectResult when there is none."""
        with self.administrator() as connection:
            connection.search(dn, "(objectClass=*)", BASE, attributes=["*", "+"])
            found = connection.response[0]["raw_attributes"]
        return {name: [value.decode(errors="backslashreplace") for value in values] for name, values in found.items()}

    def add_person(self, uid: str, password: str = PASSWORD, ou: str = "people", **attributes: str) -> str:
        """Add an inetOrgPerson with ``mail``, ``cn`` and ``sn`` unless given otherwise, and give its DN.

        Without a password it has PASSWORD.
        """
        dn = f"uid={escape_rdn(uid)},ou={ou},{self.base_dn}"
        defaults = {"cn": uid, "sn": uid, "mail": f"{uid}@lab.test"}
        with self.administrator() as connection:
            connection.add(dn, "inetOrgPerson", {"uid": uid, "userPassword": password} | defaults | attributes)
        return dn

    def set_password(self, dn: str, new: str) -> None:
        """Give an entry another password."""
        self._modify(dn, userPassword=[(MODIFY_REPLACE, [new])])

    def set_locked(self, dn: str, *, permanently: bool) -> None:
        """Lock an account: as an administrator does (until unlocked), or as too many bad passwords now would."""
        since = LOCKED_FOR_GOOD if permanently else f"{datetime.now(UTC):%Y%m%d%H%M%SZ}"
        self._modify(dn, pwdAccountLockedTime=[(MODIFY_REPLACE, [since])])

    def unlock(self, dn: str) -> None:
        """Unlock an account and forget its failures."""
        self._modify(dn, pwdAccountLockedTime=[(MODIFY_REPLACE, [])])

    def rename(self, dn: str, new_rdn: str, new_superior: str | None = None) -> str:
        """Rename or move an entry and give its new DN; groups that name it follow (refint)."""
        with self.administrator() as connection:
            connection.modify_dn(dn, new_rdn, new_superior=new_superior)
        parent = new_superior or ",".join(f"{name}={value}" for name, value, _ in parse_dn(dn)[1:])
        return f"{new_rdn},{parent}"

    def delete(self, dn: str) -> None:
        """Delete a leaf entry; groups that name it lose it (refint)."""
        with self.administrator() as connection:
            connection.delete(dn)

    def add_group(self, cn: str, members: Sequence[str]) -> str:
        """Add a groupOfNames with these member DNs (at least one) and give its DN."""
        dn = f"cn={escape_rdn(cn)},ou=groups,{self.base_dn}"
        with self.administrator() as connection:
            connection.add(dn, "groupOfNames", {"cn": cn, "member": list(members)})
        return dn

    def add_to_group(self, group_dn: str, member_dn: str) -> None:
        """Make an entry a member of a group."""
        self._modify(group_dn, member=[(MODIFY_ADD, [member_dn])])

    def remove_from_group(self, group_dn: str, member_dn: str) -> None:
        """End a membership; a groupOfNames cannot lose its last member."""
        self._modify(group_dn, member=[(MODIFY_DELETE, [member_dn])])

    def administrator(self) -> Connection:
        """Give a connection bound as the administrator, to use in ``with``; it raises for every failed operation."""
        server = Server(self.ip, port=self.port, get_info=NONE, connect_timeout=10)
        return Connection(
            server,
            self.admin_dn,
            self.admin_password,
            authentication=SIMPLE,
            auto_referrals=False,
            raise_exceptions=True,
            receive_timeout=60,
        )

    def _modify(self, dn: str, **changes: Any) -> None:
        with self.administrator() as connection:
            connection.modify(dn, changes)

    def _ldif(self, name: str, text: str) -> None:
        done = subprocess.run(
            [
                program(name),
                "-x",
                "-H",
                f"ldap://{self.ip}:{self.port}",
                "-D",
                self.admin_dn,
                "-w",
                self.admin_password,
            ],
            input=text.encode(),
            capture_output=True,
            check=False,
            env=os.environ | {"LDAPNOINIT": "1"},
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")

    def _load(self, ldif: Path) -> None:
        command: list[str | Path] = [self._program, "-T", "add", "-q", "-f", self._configuration, "-l", ldif]
        done = subprocess.run(command, capture_output=True, check=False, cwd=self.directory)
        assert done.returncode == 0, done.stderr.decode(errors="replace")

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            pytest.fail(f"slapd does not start:\n{self.log()}")
        try:
            for port in (self.port, self.tls_port):
                socket.create_connection((self.ip, port), 5).close()
            # Another server on our ports would have kept ours from starting; the pid says that it did start.
            return int((self.directory / "pid").read_text()) == self._process.pid
        except (OSError, ValueError):
            return False
