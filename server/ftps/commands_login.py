"""AUTH, PBSZ, PROT, USER and PASS: the way in."""

from __future__ import annotations

from OpenSSL import SSL

from auth_backends.api import Refused, Secret, TryLater
from auth_backends.credentials import credential_from_password
from server.ftps.control import ControlBase
from server.ftps.filesystem import WorkspaceFilesystem
from server.ftps.limits import FAILED_SIGN_INS, FAILURE_DELAY_S

PRIVATE_MECHANISMS = frozenset({"SSL", "TLS-P"})  # they protect the data connection without PROT (RFC 4217 annex)
MECHANISMS = PRIVATE_MECHANISMS | {"TLS", "TLS-C"}


class LoginCommands(ControlBase):
    """A connection serves one user: who is signed in stays until the connection ends.

    One password per USER, and nothing else is heard while it is checked, so that nobody can prove
    to be one user and become another.
    """

    def ftp_AUTH(self, line: str) -> None:
        """Start TLS, unless something was sent behind the command: that would be clear text inside TLS."""
        mechanism = line.upper()
        if isinstance(self.socket, SSL.Connection):
            self.respond("503 TLS is on already.")
        elif mechanism not in MECHANISMS:
            self.respond("504 Only TLS is known here.")
        elif self.ac_in_buffer or self.producer_fifo:
            self.ac_in_buffer = b""
            self.respond("500 Nothing may follow AUTH before the TLS handshake.")
            self.close()
        else:
            self._implied_private = mechanism in PRIVATE_MECHANISMS
            self.respond(f"234 AUTH {mechanism} successful.")
            if self.producer_fifo:  # the reply could not be sent in clear, and must not be sent inside TLS
                self.close()
            else:
                self.secure_connection(self.ssl_context)

    def ftp_CCC(self, line: str) -> None:
        """Refuse to go back to clear text (RFC 4217 section 4.5)."""
        self.respond("533 The control connection stays protected.")

    def ftp_PROT(self, line: str) -> None:
        """Accept private data connections and no others (RFC 4217 section 9)."""
        level = line.upper()
        if not self._pbsz:
            self.respond("503 Send PBSZ 0 first.")
        elif level == "P":
            self._prot = True
            self.respond("200 Data connections are private.")
        elif level == "C":
            self.respond("534 Data connections must be private: send PROT P.")
        elif level in {"S", "E"}:
            self.respond("536 TLS offers PROT P only.")
        else:
            self.respond("504 Unknown protection level.")

    def ftp_USER(self, line: str) -> None:
        """Take a name; the answer is the same for all of them (RFC 2577 section 6)."""
        if self.authenticated:
            self.respond("530 You are signed in; another user needs another connection.")
        else:
            self.username = line
            self.respond("331 Send the password.")

    def ftp_PASS(self, line: str) -> None:
        """Ask the broker, once for each USER."""
        if self.authenticated:
            self.respond("503 You are signed in already.")
            return
        name, self.username = self.username, ""
        if not name:
            self.respond("503 Send USER first.")
            return
        answer = self.connection.try_in(credential_from_password(name, Secret(line)))
        if isinstance(answer, TryLater):
            self.respond(f"421 {answer.public_message}")
            self.leave()
        elif isinstance(answer, Refused):
            self.attempted_logins += 1
            last = self.attempted_logins >= FAILED_SIGN_INS
            self.hold(FAILURE_DELAY_S, f"530 {answer.public_message}", leave=last)
        else:
            self._login_timer.cancel()
            self.username = answer.principal.user.name
            self.authenticated = True
            self.fs = WorkspaceFilesystem(answer.workspace, self)
            self.respond("230 Signed in.")
