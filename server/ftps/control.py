"""The control channel without its commands: TLS, lines, gates, replies, and the end."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import sys
from typing import TYPE_CHECKING, Any

import structlog
from OpenSSL import SSL
from pyftpdlib.exceptions import _RetryError
from pyftpdlib.handlers.ftp.control import FTPHandler
from pyftpdlib.handlers.ftps.control import TLS_FTPHandler

from server.ftps.data_channel import DataChannel
from server.ftps.errors import Reply, reply_for, trace_of
from server.ftps.filesystem import WorkspaceFilesystem
from server.ftps.limits import FAILED_SIGN_INS, MAX_LINE_BYTES, MAX_WAITING_REPLIES
from server.ftps.listing import FACTS
from server.ftps.transfers import Incoming
from storage.files.errors import StorageError

if TYPE_CHECKING:
    from config.settings import FtpsSettings
    from server.ftps.connection import Connection
    from server.ftps.loop import SessionLoop

log = structlog.get_logger(__name__)

# What may be said in clear on the explicit port; everything else needs AUTH TLS first (RFC 4217 section 12.5).
CLEAR_COMMANDS = frozenset({"AUTH", "CLNT", "FEAT", "HELP", "NOOP", "OPTS", "QUIT", "SYST"})
# What opens or uses a data connection, and so needs PROT P first (RFC 4217 section 9).
DATA_COMMANDS = frozenset(
    {"APPE", "EPRT", "EPSV", "LIST", "MLSD", "NLST", "PASV", "PORT", "RETR", "STOR", "STOU"}
)  # fmt: skip
TELNET = re.compile(rb"^(?:\xff[\xf0-\xff])+")  # IP and Synch, which RFC 959 puts before ABOR
LIST_OPTIONS = re.compile(r"^(?:-[A-Za-z1]+(?: +|$))+")  # "LIST -la path": ls options that many clients send
CONTROL_CHARACTERS = dict.fromkeys((*range(0x20), 0x7F), "?")
SERVICE_CLOSING = 421


class Everyone:
    """The authoriser that pyftpdlib asks for: it allows all, since the Workspace decides."""

    def has_perm(self, username: str, perm: str, path: str | None = None) -> bool:
        """Whether pyftpdlib may go on: always."""
        return True

    def get_perms(self, username: str) -> str:
        """Nothing: listings ask the Workspace."""
        return ""

    def get_msg_quit(self, username: str) -> str:
        """Give the text of 221."""
        return "Goodbye."


class NoServer:
    """What pyftpdlib reads of its server object; accepting and counting are done elsewhere."""

    ip_map = ()


class ControlBase(TLS_FTPHandler):  # type: ignore[misc]  # pyftpdlib has no types
    """One control connection, in its own thread with its own event loop."""

    banner = "FTP server ready."
    encoding = "utf8"
    unicode_errors = "strict"
    max_login_attempts = FAILED_SIGN_INS
    permit_foreign_addresses = False
    permit_privileged_ports = False
    use_gmt_times = True
    use_sendfile = False
    authorizer = Everyone()
    dtp_handler = DataChannel

    # pyftpdlib's own state, as far as this package reads or sets it
    socket: Any
    fs: WorkspaceFilesystem
    authenticated: bool
    data_channel: DataChannel | None
    ac_in_buffer: bytes
    _closed: bool
    _restart_position: int
    _in_buffer: list[bytes]
    _dtp_acceptor: Any
    _dtp_connector: Any
    _in_dtp_queue: tuple[Incoming, str] | None
    _out_dtp_queue: tuple[Any, bool, Any, str | None] | None

    def __init__(self, sock: socket.socket, connection: Connection, loop: SessionLoop) -> None:
        self.connection = connection
        self.settings: FtpsSettings = connection.settings
        self.timeout = self.settings.idle_timeout_s
        self.masquerade_address = self.settings.masquerade_address
        self.route_failure = ""
        self._wire = sock
        self._greeted = False
        self._implied_private = False
        self._held = False
        self._overlong = False
        self._leaving = False
        self._lines: list[bytes] = []
        self._expected: int | None = None
        connection.track(sock)
        super().__init__(sock, NoServer(), ioloop=loop)
        if self._closed:
            return
        self._current_type = "i"
        self._available_facts = list(FACTS)
        self._current_facts = list(FACTS)
        self._extra_feats = ["AUTH TLS", "AVBL", "CLNT", "PBSZ", "PROT"]
        self._login_timer = self.call_later(self.settings.login_timeout_s, self._login_late)

    def __repr__(self) -> str:
        return f"<ControlChannel {self.remote_ip}:{self.remote_port}>"

    __str__ = __repr__

    def get_ssl_context(self) -> SSL.Context:
        """Give the context of this connection."""
        return self.connection.context

    def begin(self) -> None:
        """Greet; on the implicit port, after the TLS handshake."""
        if self.connection.implicit:
            self.secure_connection(self.ssl_context)
        else:
            self._greeted = True
            self.handle()

    # --- what the event loop asks

    def readable(self) -> bool:
        """Whether to read: not while a failed sign-in is held, nor from a client that reads no replies."""
        if self._ssl_accepting:
            return not self._ssl_want_write
        return bool(self.connected) and not self._held and len(self.producer_fifo) < MAX_WAITING_REPLIES

    def writable(self) -> bool:
        """Whether there are replies to send."""
        if self._ssl_accepting:
            return bool(self._ssl_want_write)
        return bool(self.connected and self.producer_fifo)

    def handle_ssl_established(self) -> None:
        """Forget all that was said in clear (CVE-2011-0411), and greet if that is still owed."""
        self._in_buffer, self._in_buffer_len, self._lines = [], 0, []
        self.username = ""
        self._pbsz = self._prot = self.connection.implicit or self._implied_private
        if not self._greeted:
            self._greeted = True
            self.handle()

    def recv(self, buffer_size: int) -> bytes:
        """Read; whatever is no TLS ends the connection."""
        try:
            data: bytes = super().recv(buffer_size)
        except _RetryError:
            raise
        except SSL.Error:
            self.close()
            return b""
        return data

    def hear(self) -> None:
        """Handle what the client has said by now, without waiting."""
        poller = select.poll()
        for _ in range(MAX_WAITING_REPLIES):
            if self._closed or self._held or self._fileno not in self.ioloop.socket_map:
                return
            poller.register(self._fileno, select.POLLIN)
            if not poller.poll(0):
                return
            try:
                self.handle_read_event()
            except (OSError, SSL.Error):
                self.close()

    # --- lines

    def collect_incoming_data(self, data: bytes) -> None:
        """Add to the line; one that is too long is refused as a whole."""
        if not self._overlong:
            self._in_buffer.append(data)
            self._in_buffer_len += len(data)
            if self._in_buffer_len > MAX_LINE_BYTES:
                self._overlong = True
                self._in_buffer, self._in_buffer_len = [], 0

    def found_terminator(self) -> None:
        """Handle a whole line; lines that came while a failed sign-in is held wait."""
        line = b"".join(self._in_buffer)
        overlong, self._overlong = self._overlong, False
        self._in_buffer, self._in_buffer_len = [], 0
        if self._closed or self._closing or self._leaving:
            return
        if self._idler is not None and not self._idler.cancelled:
            self._idler.reset()
        if overlong:
            self.respond("500 Command too long.")
        elif self._held:
            self._lines.append(line)
        else:
            self._handle_line(line)

    def hold(self, seconds: float, reply: str, *, leave: bool) -> None:
        """Read and answer nothing for ``seconds``, then send ``reply``, and end if ``leave``."""
        self._held = True
        self.call_later(seconds, self._release, reply, leave)

    def _release(self, reply: str, leave: bool) -> None:  # noqa: FBT001 - called by the timer
        self._held = False
        self.respond(reply)
        if leave:
            self.leave()
        while self._lines and not (self._held or self._closed or self._leaving):
            self._handle_line(self._lines.pop(0))

    def _handle_line(self, line: bytes) -> None:
        try:
            text = TELNET.sub(b"", line).decode(self.encoding, "strict")
        except UnicodeDecodeError:  # never replaced: U+FFFD would name another file
            self.respond("501 The command is not UTF-8.")
            return
        word, _, argument = text.partition(" ")
        self.pre_process_command(text, word.upper(), argument)

    # --- gates

    def pre_process_command(self, line: str, cmd: str, arg: str) -> None:
        """Let a command through the gates and carry it out; every StorageError becomes its reply."""
        if cmd != "ABOR" and self.data_channel is not None:
            self.data_channel.commit_if_proven()
        if not self._ssl_established and cmd not in CLEAR_COMMANDS:
            self.respond("530 TLS is required: send AUTH TLS first.")
            return
        if self.authenticated and cmd in DATA_COMMANDS and not self._prot:
            self.respond("521 The data connection must be protected: send PBSZ 0 and PROT P.")
            return
        if cmd in {"LIST", "NLST"}:
            arg = LIST_OPTIONS.sub("", arg)
        try:
            super().pre_process_command(line, cmd, arg)
        except StorageError as error:
            self.refuse(reply_for(error))

    def refuse(self, reply: Reply) -> None:
        """Send the reply of a failed command; 421 ends the connection."""
        self.respond(str(reply))
        if reply.code == SERVICE_CLOSING:
            self.leave()

    def run_as_current_user(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Call: there is no user of the operating system to become."""
        return function(*args, **kwargs)

    # --- replies and logs

    def respond(self, resp: str, logfun: object = None) -> None:
        """Send one reply line; nothing in it can start another line."""
        self._last_response = resp
        if not self._closed:
            self.push(resp.translate(CONTROL_CHARACTERS) + "\r\n")

    def log(self, msg: str, logfun: object = None) -> None:
        """Nothing: sign-ins and file events are logged by the core."""

    logline = log
    logerror = log

    def log_cmd(self, cmd: str, arg: str, respcode: int, respstr: str) -> None:
        """Log one command; never USER and PASS, since people type passwords as names."""
        if cmd not in {"USER", "PASS"}:
            log.debug("ftps.command", peer=self.remote_ip, command=cmd, code=respcode)

    def log_exception(self, instance: object) -> None:
        """Log what nobody foresaw."""
        log.error("ftps.unforeseen", peer=self.remote_ip, where=repr(instance), trace=trace_of(sys.exception()))

    # --- the end

    @property
    def data_is_private(self) -> bool:
        """Whether data connections may be opened: only after PROT P."""
        return bool(self._prot)

    @property
    def gone(self) -> bool:
        """Whether the connection is closed."""
        return bool(self._closed)

    def leave(self) -> None:
        """Close once the waiting replies are sent; further commands are not heard."""
        self._leaving = True
        self.close_when_done()

    def drain(self) -> None:
        """Say goodbye; a running transfer may end first."""
        if self._ssl_accepting:
            self.close()
        elif self.transferring:
            self._draining = True
        else:
            self.respond("421 The service is going down; try again soon.")
            self.leave()

    _draining = False

    @property
    def transferring(self) -> bool:
        """Whether a transfer runs or waits for its data connection."""
        if self._in_dtp_queue is not None or self._out_dtp_queue is not None:
            return True
        return self.data_channel is not None and self.data_channel.busy

    def _on_dtp_close(self) -> None:
        super()._on_dtp_close()
        if self._draining and not self._closed:
            self.drain()

    def _login_late(self) -> None:
        if not self.authenticated:
            if not self._ssl_accepting:
                self.respond("421 Nobody signed in in time.")
            self.close()

    def handle_error(self) -> None:
        """End the connection: pyftpdlib's own way would pass by ``close`` of this class."""
        self._error = True
        self.log_exception(self)
        self.close()

    def close(self) -> None:
        """End the connection and, with it, the transfer; an upload in flight is aborted."""
        if self._closed:
            return
        self.connection.untrack(self._wire)
        if self._ssl_established and isinstance(self.socket, SSL.Connection):
            with contextlib.suppress(SSL.Error, OSError):
                self.socket.shutdown()  # best effort: the client may be gone
        FTPHandler.close(self)
        self.data_channel = self._in_dtp_queue = self._out_dtp_queue = None  # pyftpdlib deletes them
