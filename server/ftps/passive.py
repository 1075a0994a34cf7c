"""Where data connections come from: passive ports of the site's range, and PORT/EPRT to the client itself."""

from __future__ import annotations

import errno
import secrets
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import structlog
from pyftpdlib.handlers.ftp.dispatchers import ActiveDTP, PassiveDTP
from pyftpdlib.ioloop import Acceptor

from server.ftps.limits import PASSIVE_WAIT_S

log = structlog.get_logger(__name__)

Socket = socket.socket  # pyftpdlib's channels have an attribute of the name
BACKLOG = 5
TAKEN = {errno.EADDRINUSE, errno.EACCES}


def plain_address(text: str) -> IPv4Address | IPv6Address:
    """Read an address; an IPv4 address mapped into IPv6 is the IPv4 address. ``ValueError`` if it is none."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def listen_in_range(host: str, family: int, ports: Sequence[int]) -> socket.socket | None:
    """Listen on a free port of ``ports``, chosen at random; None if all are taken.

    Other workers share the range. With SO_REUSEADDR two of them may bind one port, and then the
    second finds out when it listens; without it, ports in TIME_WAIT would count as taken.
    """
    start = secrets.randbelow(len(ports))
    for step in range(len(ports)):
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, ports[(start + step) % len(ports)]))
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            if error.errno not in TAKEN:
                raise
        else:
            listener.setblocking(False)
            return listener
    return None


class PassivePort(PassiveDTP):  # type: ignore[misc]  # pyftpdlib has no types
    """A listening port that takes one data connection, from the control connection's peer only.

    pyftpdlib 2.2 takes a random port if the range is used up, which firewalls drop, and sends
    replies that nobody asked for when a stranger connects or nobody does; this class does not.
    """

    timeout = PASSIVE_WAIT_S
    socket: Any

    def __init__(self, cmd_channel: Any, listener: Socket) -> None:
        self.cmd_channel = cmd_channel
        self.log = cmd_channel.log
        self.log_exception = cmd_channel.log_exception
        Acceptor.__init__(self, ioloop=cmd_channel.ioloop)
        self.set_socket(listener)
        self.accepting = True
        self.call_later(self.timeout, self.handle_timeout)

    def __repr__(self) -> str:
        return f"<PassivePort {self._fileno}>"

    @property
    def port(self) -> int:
        """The port that the client must connect to."""
        number: int = self.socket.getsockname()[1]
        return number

    def writable(self) -> bool:
        """Never: it only accepts."""
        return False

    def handle_accepted(self, sock: Socket, addr: tuple[Any, ...]) -> None:
        """Take the connection if it comes from the client, or drop it and go on waiting."""
        control = self.cmd_channel
        if not control.connected:
            sock.close()
            self.close()
            return
        if plain_address(str(addr[0])) != plain_address(control.remote_ip):
            log.warning("ftps.foreign_data_connection", peer=control.remote_ip, came_from=str(addr[0]))
            sock.close()
            return
        self.close()
        control.take_data_connection(sock)

    def handle_timeout(self) -> None:
        """Give the port back; a transfer that waits for it fails."""
        control = self.cmd_channel
        self.close()
        control.data_route_failed("425 No data connection came.")


class ActivePort(ActiveDTP):  # type: ignore[misc]  # pyftpdlib has no types
    """A data connection that the server opens to the client's own address (PORT, EPRT)."""

    socket: Any

    def __repr__(self) -> str:
        return f"<ActivePort {self._fileno}>"

    def handle_connect(self) -> None:
        """Answer the command and hand the connection over."""
        failure = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failure:
            raise OSError(failure, "cannot connect")
        self.del_channel()
        if self._idler is not None and not self._idler.cancelled:
            self._idler.cancel()
        control, sock = self.cmd_channel, self.socket
        self.socket, self._fileno, self._closed = None, None, True  # the socket is the data channel's now
        if not control.connected:
            sock.close()
            return
        control.respond("200 Active data connection established.")
        control.take_data_connection(sock)

    def handle_timeout(self) -> None:
        """Answer that the client could not be reached."""
        self.handle_close()

    def handle_close(self) -> None:
        """Answer the command, once; a transfer that waits for the connection fails."""
        if self._closed:
            return
        control = self.cmd_channel
        self.close()
        if control.connected:
            control.respond("425 Cannot connect to the given address.")
            control.data_route_failed("425 There is no data connection.")
