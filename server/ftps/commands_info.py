"""What is said about the server and the session: TYPE, CLNT, STAT."""

from __future__ import annotations

from server.ftps.control import ControlBase


class InfoCommands(ControlBase):
    """Commands about neither files nor people."""

    def ftp_TYPE(self, line: str) -> None:
        """Accept both types; either carries the bytes as they are (see the package)."""
        match line.upper().replace(" ", ""):
            case "A" | "AN" | "L7":
                self.respond("200 Type is ASCII; line ends are sent as they are.")
            case "I" | "L8":
                self.respond("200 Type is binary.")
            case _:
                self.respond("504 Only types A and I are known here.")

    def ftp_CLNT(self, line: str) -> None:
        """Take the client's name for itself."""
        self.respond("200 Noted.")

    def ftp_NOOP(self, line: str) -> None:
        """Show that the connection is alive."""
        self.respond("200 Nothing to do.")
