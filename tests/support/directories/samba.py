"""A real Active Directory domain controller (Samba) with a directory of its own, for tests of sign-in and sync."""

from __future__ import annotations

import os
import select
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

import pytest
from ldap3 import NONE, SIMPLE, Connection, Server, Tls

from tests.support.directories import namespace
from tests.support.directories import samba_provision as plan
from tests.support.directories.certificates import Authority, Identity
from tests.support.directories.processes import dying_with_parent, end, program
from tests.support.directories.samba_accounts import SambaAccounts
from tests.support.directories.samba_tree import in_new_network, kept_tree, write_configuration
from tests.support.ports import claim_ports

START_DEADLINE_S = 60.0


class SambaAd(SambaAccounts):
    """One domain controller of CORP.TEST, alone in a network namespace and relayed to free ports of 127.0.0.1.

    ``tls_port`` speaks LDAPS with a certificate of ``authority`` for dc1.corp.test, localhost and 127.0.0.1; ``port``
    speaks LDAP, where Samba refuses simple binds. Everything comes from one kept copy: every server starts with the
    same entries, objectGUIDs and SIDs. No password expires and no number of failures locks until a test says so.

    ``OU=Staff`` has eight people (``staff``, passwords by ``password_of``); ``OU=Bulk`` has 5,000 accounts without
    passwords, bulk0001 to bulk5000. Group ``staff`` contains bob and the group ``engineering``, which contains alice
    and dave; ``accounting`` is nothing but the primary group of carol; ``everyone-large`` has 1,600 members.

    Samba differs from Microsoft's server: it cuts long attributes into ranges (``member;range=0-1499``) only when
    asked to, it gives more than 1,000 entries without paging, it knows no "Who am I?", and it refuses a bind with a DN
    and an empty password (and counts it as a failure). As there, the service account, a plain one, sees neither deleted
    entries nor password settings objects.

    ``old_password_minutes`` is for how long a replaced password still gets in; Samba's own default is 60.
    """

    ip = "127.0.0.1"
    host = "localhost"
    base_dn = plan.BASE_DN
    staff_dn = plan.STAFF_DN
    leavers_dn = plan.LEAVERS_DN
    bulk_dn = plan.BULK_DN
    groups_dn = plan.GROUPS_DN
    netbios_domain = plan.NETBIOS_DOMAIN
    upn_suffix = plan.DNS_DOMAIN
    admin_upn = f"Administrator@{plan.DNS_DOMAIN}"
    admin_password = plan.ADMIN_PASSWORD
    service_upn = f"{plan.SERVICE_NAME}@{plan.DNS_DOMAIN}"
    service_dn = f"CN={plan.SERVICE_NAME},{plan.SERVICES_DN}"
    service_password = plan.SERVICE_PASSWORD
    staff = plan.STAFF
    bulk = plan.BULK
    large_group = plan.LARGE_GROUP
    large_group_size = plan.LARGE

    def __init__(self, authority: Authority, *, old_password_minutes: int = 0) -> None:
        self._program = program("samba")
        self._process: subprocess.Popen[bytes] | None = None
        kept = kept_tree()
        self.directory = Path(tempfile.mkdtemp(prefix="samba-"))
        shutil.copytree(kept, self.directory, dirs_exist_ok=True)
        self.ca_file = authority.ca_file
        certificate, key = authority.issue("samba", dns=("dc1.corp.test", "localhost"))
        self._configuration = write_configuration(
            self.directory, Identity(self.ca_file, certificate, key), old_password_minutes
        )
        self._ports = claim_ports()
        self.port, self.tls_port = self._ports.port(0), self._ports.port(1)

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
        # Sockets stay in the namespace that they were made in: these listen here, and are relayed from there.
        outside = [socket.create_server((self.ip, port)) for port in (self.port, self.tls_port)]
        forwards = [f"{s.fileno()}:{inside}" for s, inside in zip(outside, (389, 636), strict=True)]
        server = [self._program, "-i", "-M", "single", f"--configfile={self._configuration}", "--debug-stdout", "-d1"]
        relay = [*in_new_network(), sys.executable, "-I", namespace.__file__, str(os.getpid()), *forwards]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*relay, "--", *server],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.directory,
                pass_fds=[s.fileno() for s in outside],
                preexec_fn=dying_with_parent(),  # noqa: PLW1509 - a killed test run must leave no server behind
            )
        for listener in outside:
            listener.close()
        assert self._process.stdout is not None
        says_something, _, _ = select.select([self._process.stdout], [], [], START_DEADLINE_S)
        if not says_something or self._process.stdout.readline() != b"ready\n":
            self.stop()
            pytest.fail(f"Samba does not start:\n{self.log()}")

    def stop(self) -> None:
        """Stop the server: every connection breaks and new ones are refused; entries are kept."""
        if self._process is not None:
            end(self._process)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def remove(self) -> None:
        """Stop and delete everything."""
        self.stop()
        self._ports.release()
        shutil.rmtree(self.directory, ignore_errors=True)

    def log(self) -> str:
        """Give what the server has printed."""
        return (self.directory / "log").read_text(errors="replace")

    def samba_tool(self, *arguments: str) -> str:
        """Run samba-tool on the server's files, which also works while it runs, and give its output."""
        command = [program("samba-tool"), *arguments, f"--configfile={self._configuration}"]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode()

    def modify_ldif(self, text: str) -> None:
        """Make the changes of an LDIF text as Administrator."""
        who = ["-D", self.admin_upn, "-w", self.admin_password]
        done = subprocess.run(
            [program("ldapmodify"), "-x", "-H", f"ldaps://{self.ip}:{self.tls_port}", *who],
            input=text.encode(),
            capture_output=True,
            check=False,
            env=os.environ | {"LDAPTLS_CACERT": str(self.ca_file)},
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")

    def modify_files(self, text: str, *options: str) -> None:
        """Make the changes of an LDIF text in the server's files, with options of ldbmodify for what LDAP forbids.

        This works while the server runs, too.
        """
        database = self.directory / "private" / "sam.ldb"
        done = subprocess.run(
            [program("ldbmodify"), "-H", database, f"--configfile={self._configuration}", *options],
            input=text.encode(),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")

    def administrator(self) -> Connection:
        """Give an LDAPS connection bound as Administrator, to use in ``with``; it raises for failed operations."""
        tls = Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=str(self.ca_file))
        server = Server(self.ip, port=self.tls_port, use_ssl=True, tls=tls, get_info=NONE, connect_timeout=10)
        return Connection(
            server,
            self.admin_upn,
            self.admin_password,
            authentication=SIMPLE,
            auto_referrals=False,
            raise_exceptions=True,
            receive_timeout=60,
        )
