"""TLS for data connections, with the bytes on the wire in our own hands."""

from __future__ import annotations

import contextlib
import socket

from OpenSSL import SSL

from server.ftps.tls import session_was_reused
from server.ftps.transfers import BLOCK_BYTES

RECORD_BYTES = 16384  # the most that one TLS record carries; OpenSSL gives and takes one at a time
CIPHERTEXT_BYTES = BLOCK_BYTES + 8192  # a block and what TLS adds to its records


class Wire:
    """A TLS server over a non-blocking socket.

    OpenSSL works on memory here and not on the socket, for two reasons. A TLS 1.3 server sends
    session tickets after the handshake; a client that only uploads never reads them, and closing a
    socket with unread bytes makes its kernel drop what is still to be sent (seen with lftp: an
    upload that the client took for sent was cut). So the tickets wait until the client has said
    its goodbye, or until there is something to download. And many records go by one system call.
    """

    def __init__(self, context: SSL.Context, sock: socket.socket) -> None:
        self.established = False
        self._sock = sock
        with contextlib.suppress(OSError):  # reset already: the first read tells
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # the goodbye must not wait for an ACK
        self._tls = SSL.Connection(context, None)
        self._tls.set_accept_state()
        self._incoming = memoryview(bytearray(CIPHERTEXT_BYTES))
        self._outgoing = memoryview(b"")
        self._tickets = b""

    @property
    def waiting(self) -> bool:
        """Whether there are bytes that the socket has not taken yet."""
        return len(self._outgoing) > 0

    @property
    def resumed(self) -> bool:
        """Whether the handshake resumed a session of the same context."""
        return session_was_reused(self._tls)

    def pull(self) -> bool:
        """Take what the socket has; False at its end. BlockingIOError if there is nothing, OSError if it broke."""
        count = self._sock.recv_into(self._incoming)
        if count:
            self._tls.bio_write(self._incoming[:count])
            # Since no tickets answer the client's Finished, its Nagle algorithm would hold back the first
            # data until our delayed ACK, 40 ms; the kernel forgets this option again and again.
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return count > 0

    def shake_hands(self) -> bool:
        """Go on with the handshake; whether it is done. Raises SSL.Error if it failed, OSError as ``flush``."""
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            self._collect()
        except SSL.Error:
            self._collect()  # the alert that tells the client why
            self.flush()
            raise
        else:
            self.established = True
            if self._tls.get_protocol_version_name() == "TLSv1.3":  # only the tickets are left to send
                self._tickets = self._encrypted()
            else:
                self._collect()
        self.flush()
        return self.established

    def decrypt_into(self, buffer: memoryview) -> int:
        """Give the next record, at most RECORD_BYTES.

        Raises SSL.WantReadError if more must come first, SSL.ZeroReturnError at close_notify, and
        SSL.Error for what is no TLS.
        """
        count: int = self._tls.recv_into(buffer, RECORD_BYTES)
        return count

    def encrypt(self, block: memoryview) -> None:
        """Put a block behind what is waiting; ``flush`` sends it."""
        sent = 0
        while sent < len(block):
            sent += self._tls.send(block[sent : sent + RECORD_BYTES])
        self._collect()

    def say_goodbye(self) -> None:
        """Put close_notify behind what is waiting; ``flush`` sends it."""
        self._tls.shutdown()
        self._collect()

    def flush(self) -> bool:
        """Send what is waiting, as far as the socket takes it; whether all is sent. OSError if it broke."""
        try:
            while self._outgoing:
                self._outgoing = self._outgoing[self._sock.send(self._outgoing) :]
        except BlockingIOError:
            return False
        return True

    def _collect(self) -> None:
        fresh = self._tickets + self._encrypted() if self._tickets else self._encrypted()
        self._tickets = b""
        self._outgoing = memoryview(bytes(self._outgoing) + fresh if self._outgoing else fresh)

    def _encrypted(self) -> bytes:
        parts: list[bytes] = []
        try:
            while True:
                parts.append(self._tls.bio_read(CIPHERTEXT_BYTES))
        except SSL.WantReadError:
            return parts[0] if len(parts) == 1 else b"".join(parts)
