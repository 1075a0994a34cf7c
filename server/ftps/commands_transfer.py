"""PASV, PORT and what goes over the data connection: RETR, STOR, APPE, STOU, REST, ALLO, ABOR."""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address
from typing import Any

import structlog

from server.ftps.control import ControlBase
from server.ftps.passive import ActivePort, PassivePort, listen_in_range, plain_address
from server.ftps.transfers import Incoming
from storage.files.api import WriteMode
from storage.files.path import VirtualPath

log = structlog.get_logger(__name__)

FIRST_UNPRIVILEGED_PORT = 1024
SIZE = re.compile("[0-9]{1,18}")  # no file is larger, and Python reads no number of more than 4300 digits
NO_ROUTE = "425 There is no data connection: send PASV or EPSV first."


class TransferCommands(ControlBase):
    """Data connections and transfers."""

    # --- data connections

    def _make_epasv(self, extmode: bool = False) -> None:  # noqa: FBT001, FBT002 - pyftpdlib's signature
        """Open a passive port of the site's range, or answer 425 if there is none free."""
        self._drop_route()
        host = self.socket.getsockname()[0]
        shown = self.masquerade_address or str(plain_address(host))
        if not extmode and not isinstance(plain_address(shown), IPv4Address):
            self.respond("425 PASV cannot name an IPv6 address: send EPSV.")
            return
        ports = self.settings.passive_ports
        listener = listen_in_range(host, self.socket.family, range(ports.first, ports.last + 1))
        if listener is None:
            log.warning("ftps.passive_ports_used_up", ports=str(ports))
            self.respond("425 No passive port is free; try again soon.")
            return
        self._dtp_acceptor = PassivePort(self, listener)
        port = self._dtp_acceptor.port
        if extmode:
            self.respond(f"229 Entering extended passive mode (|||{port}|).")
        else:
            self.respond(f"227 Entering passive mode ({shown.replace('.', ',')},{port >> 8},{port & 255}).")

    def _make_eport(self, ip: str, port: int) -> None:
        """Connect to the client itself, and to nobody else (RFC 2577 section 3)."""
        try:
            foreign = plain_address(ip) != plain_address(self.remote_ip)
        except ValueError:
            self.respond("501 This is no address.")
            return
        if foreign:
            self.respond("501 Data connections go to your own address only.")
        elif port < FIRST_UNPRIVILEGED_PORT:
            self.respond("501 Data connections go to ports from 1024 on only.")
        else:
            self._drop_route()
            self._dtp_connector = ActivePort(ip, port, self)

    def take_data_connection(self, sock: socket.socket) -> None:
        """Use a data connection that the client made or accepted."""
        self._dtp_acceptor = self._dtp_connector = None
        channel = self.dtp_handler(sock, self)
        if channel.connected:
            self.data_channel = channel
            self._on_dtp_connection()
        else:
            self.data_route_failed(self.route_failure or NO_ROUTE)

    def data_route_failed(self, reply: str) -> None:
        """Note that no data connection will come; a transfer that waits for it fails with ``reply``."""
        self._dtp_acceptor = self._dtp_connector = None
        if self._drop_waiting():
            self.respond(reply)

    def _drop_route(self) -> None:
        """Close what belongs to an earlier PASV or PORT; a transfer that still uses it is aborted."""
        self.route_failure = ""
        self._shutdown_connecting_dtp()
        self.data_route_failed("426 Transfer aborted.")
        if self.data_channel is not None:
            self.data_channel.close()

    def _drop_waiting(self) -> bool:
        """Throw away a transfer that waits for its data connection; whether there was one."""
        incoming, outgoing = self._in_dtp_queue, self._out_dtp_queue
        self._in_dtp_queue = self._out_dtp_queue = None
        if incoming is not None:
            incoming[0].close()
        if outgoing is not None and outgoing[2] is not None:
            outgoing[2].close()
        return incoming is not None or outgoing is not None

    def _route_is_free(self) -> bool:
        """Whether a transfer may start; if not, the client has been told."""
        if self.transferring:
            self.respond("450 Another transfer is running.")
            return False
        if self.data_channel is None and self._dtp_acceptor is None and self._dtp_connector is None:
            self.respond(self.route_failure or NO_ROUTE)
            return False
        return True

    def push_dtp_data(self, data: Any, isproducer: bool = False, file: Any = None, cmd: str | None = None) -> None:  # noqa: FBT001, FBT002 - pyftpdlib's signature
        """Send a file or a listing over the data connection, now or when it comes."""
        if self._route_is_free():
            super().push_dtp_data(data, isproducer, file, cmd)
        elif file is not None:
            file.close()

    # --- files

    def ftp_RETR(self, file: str) -> None:
        """Send a file, from the REST position on."""
        start = self._take_restart()
        download = self.fs.open_download(file, offset=start)
        if start > download.size:
            download.close()
            self.respond(f"554 The file has {download.size} bytes; it cannot start at {start}.")
        else:
            self.push_dtp_data(download, isproducer=True, file=download, cmd="RETR")

    def ftp_STOR(self, file: str, mode: str = "w") -> None:
        """Receive a file. What is there stays until everything has come; REST goes on in the bytes before it."""
        start, expected = self._take_restart(), self._take_promise()
        if not self._route_is_free():
            return
        if not start:
            self._receive(self.fs.open_upload(file, WriteMode.REPLACE, offset=0, expected=expected), "STOR")
            return
        present = self.fs.getsize(file)
        if start > present:
            self.respond(f"554 The file has {present} bytes; it cannot go on at {start}.")
        else:
            self._receive(self.fs.open_upload(file, WriteMode.RESUME, offset=start, expected=expected), "STOR")

    def ftp_APPE(self, file: str) -> None:
        """Receive bytes that go behind those of the file."""
        expected = self._take_promise()
        if self._take_restart():
            self.respond("503 REST does not go with APPE.")
        elif self._route_is_free():
            self._receive(self.fs.open_upload(file, WriteMode.RESUME, expected=expected), "APPE")

    def ftp_STOU(self, line: str) -> None:
        """Receive a file under a name that nothing has yet, and say which (RFC 1123 section 4.1.2.9)."""
        if self._take_restart():
            self.respond("503 REST does not go with STOU.")
        elif self._route_is_free():
            wanted = VirtualPath.parse(self.fs.ftp2fs(line or "ftp"))
            upload = self.fs.mkstemp(prefix=wanted.name + ".", dir=str(wanted.parent))
            self._receive(upload, "STOU", opening=f"FILE: {VirtualPath.parse(upload.name).name}")

    def _receive(self, upload: Incoming, cmd: str, opening: str = "Send the data.") -> None:
        if self.data_channel is not None:
            self.respond(f"125 {opening}")
            self.data_channel.file_obj = upload
            self.data_channel.enable_receiving(self._current_type, cmd)
        else:
            self.respond(f"150 {opening}")
            self._in_dtp_queue = (upload, cmd)

    # --- before and after

    def ftp_REST(self, line: str) -> None:
        """Note where the next transfer starts; in both types, since both carry the same bytes."""
        if SIZE.fullmatch(line):
            self._restart_position = int(line)
            self.respond(f"350 The next transfer starts at {self._restart_position}.")
        else:
            self.respond("501 REST takes a number of bytes.")

    def ftp_ALLO(self, line: str) -> None:
        """Note how many bytes the next upload will bring; fewer of them are not taken for all."""
        words = line.split()
        if words and SIZE.fullmatch(words[0]):
            self._expected = int(words[0])
            self.respond(f"200 Expecting {self._expected} bytes.")
        else:
            self.respond("501 ALLO takes a number of bytes.")

    def _take_restart(self) -> int:
        """Give REST's position once: it is for the next transfer command, also one that is refused."""
        start, self._restart_position = self._restart_position, 0
        return int(start)

    def _take_promise(self) -> int | None:
        expected, self._expected = self._expected, None
        return expected

    def ftp_ABOR(self, line: str) -> None:
        """Stop the transfer: 426 for it and 226 for ABOR; 225 if there was none (RFC 959 section 4.1.3)."""
        self._shutdown_connecting_dtp()
        running = self._drop_waiting()
        if self.data_channel is not None:
            running = running or self.data_channel.busy
            self.data_channel.cancel()
        if running:
            self.respond("426 Transfer aborted.")
            self.respond("226 ABOR successful.")
        else:
            self.respond("225 There was no transfer to abort.")

    def ftp_EPSV(self, line: str) -> None:
        """Open a passive port (RFC 2428 section 3)."""
        if line.upper() == "ALL":
            self._epsvall = True
            self.respond("200 Only EPSV from now on.")
        else:
            super().ftp_EPSV(line)
