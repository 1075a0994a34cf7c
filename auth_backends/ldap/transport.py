"""A TCP connection that carries whole LDAP messages, each wait of it below a deadline."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from auth_backends.ldap import ber
from auth_backends.ldap.deadline import Deadline
from auth_backends.ldap.errors import AnswerMissing, AnswerUnusable, NotConnected, TlsFailed
from auth_backends.ldap.tls import refused

CHUNK = 1 << 16

SocketAddress = tuple[socket.AddressFamily, str, int]


class Transport:
    """Used by one thread at a time. ``label`` names the server in errors.

    Nothing here waits longer than the deadline that it is given, however slowly a server drips: each receive gets
    what is left of it, and a TLS handshake as a whole does.
    """

    def __init__(self, connected: socket.socket, label: str) -> None:
        self._socket = connected
        self._label = label
        self._unread = bytearray()

    @classmethod
    def connect(cls, addresses: Sequence[SocketAddress], label: str, deadline: Deadline) -> Self:
        """Connect to the first of the addresses that answers. Raises NotConnected."""
        why = "there is no address"
        for left, (family, ip, port) in zip(range(len(addresses), 0, -1), addresses, strict=True):
            share = deadline.share(left).left()
            if share <= 0:
                break
            try:
                attempt = socket.socket(family, socket.SOCK_STREAM)
            except OSError as error:  # a kernel without IPv6
                why = _said(error)
                continue
            try:
                attempt.settimeout(share)
                attempt.connect((ip, port))
                attempt.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a bind waits 40 ms for an ACK
            except OSError as error:
                attempt.close()
                why = "no answer in time" if isinstance(error, TimeoutError) else _said(error)
            except BaseException:
                attempt.close()
                raise
            else:
                return cls(attempt, label)
        raise NotConnected(f"no connection: {why}", label)

    @property
    def is_encrypted(self) -> bool:
        """Whether TLS is on, with a certificate that was accepted."""
        return isinstance(self._socket, ssl.SSLSocket)

    @property
    def certificate(self) -> bytes:
        """The server's certificate in DER; empty without TLS."""
        return self._socket.getpeercert(binary_form=True) or b"" if isinstance(self._socket, ssl.SSLSocket) else b""

    def encrypt(self, context: ssl.SSLContext, name: str, deadline: Deadline) -> None:
        """Begin TLS with the server of this name. Raises TlsFailed."""
        if self._unread:
            raise TlsFailed("the server said something more before TLS began", self._label)
        plain = self._socket
        try:
            plain.settimeout(_some(deadline))
            wrapped = context.wrap_socket(plain, server_hostname=name, do_handshake_on_connect=False)
            self._socket = wrapped
            wrapped.do_handshake()
        except ssl.SSLCertVerificationError as error:
            raise refused(error, self._label, name) from None
        except (ssl.SSLError, ValueError) as error:
            what = error.reason if isinstance(error, ssl.SSLError) and error.reason else type(error).__name__
            raise TlsFailed(f"no TLS: {what}", self._label) from None
        except TimeoutError:
            raise TlsFailed("no TLS: no answer in time", self._label) from None
        except OSError as error:
            raise TlsFailed(f"no TLS: {_said(error)}", self._label) from None

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Send a whole message. Raises AnswerMissing."""
        try:
            self._socket.settimeout(_some(deadline))
            self._socket.sendall(data)
        except TimeoutError:
            raise AnswerMissing("no answer in time", self._label) from None
        except OSError as error:
            raise AnswerMissing(f"the connection ended: {_said(error)}", self._label) from None

    def receive(self, deadline: Deadline, most: int) -> bytes:
        """Give the next whole message, of so many bytes at most. Raises AnswerMissing, AnswerUnusable."""
        try:
            while (size := self._size(most)) is None or len(self._unread) < size:
                self._unread += self._more(deadline)
        except ber.BerError as error:
            raise AnswerUnusable(f"the answer cannot be read: {error}", self._label) from None
        whole = bytes(self._unread[:size])
        del self._unread[:size]
        return whole

    def is_quiet(self) -> bool:
        """Whether the connection stands with nothing to read: an idle one that does not was ended by the server."""
        try:
            if self._unread or (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
                return False
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            return not poll.poll(0)
        except (OSError, ValueError):
            return False

    def close(self, farewell: bytes = b"") -> None:
        """Close, without waiting; a last word is sent if it can be at once."""
        with suppress(OSError, ValueError):
            if farewell:
                self._socket.settimeout(0)
                self._socket.send(farewell)
        with suppress(OSError):
            self._socket.close()

    def _size(self, most: int) -> int | None:
        size = ber.message_size(self._unread)
        if size is not None and size > most:
            raise AnswerUnusable(f"an answer of {size} bytes", self._label)
        return size

    def _more(self, deadline: Deadline) -> bytes:
        try:
            self._socket.settimeout(_some(deadline))
            chunk = self._socket.recv(CHUNK)
        except TimeoutError:
            raise AnswerMissing("no answer in time", self._label) from None
        except OSError as error:
            raise AnswerMissing(f"the connection ended: {_said(error)}", self._label) from None
        if not chunk:
            raise AnswerMissing("the connection ended before the answer", self._label)
        return chunk


def _some(deadline: Deadline) -> float:
    """Give the time that is left; 0 would mean to a socket not to wait at all. Raises TimeoutError."""
    left = deadline.left()
    if left <= 0:
        raise TimeoutError
    return left


def _said(error: OSError) -> str:
    return error.strerror or type(error).__name__
