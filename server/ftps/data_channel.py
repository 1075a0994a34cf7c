"""The data connection: TLS always, and an upload is complete only on proof.

pyftpdlib 2.2 takes every end of an upload for its completion (its issue 655). Here the proof is TLS
close_notify (RFC 8446 section 6.1). A reset, or an end without it, leaves the upload uncommitted.
"""

from __future__ import annotations

import socket
import sys
from enum import Enum, auto
from typing import Any, Protocol, cast

import structlog
from OpenSSL import SSL
from pyftpdlib.handlers.ftps.data import TLS_DTPHandler
from pyftpdlib.ioloop import AsyncChat

from server.ftps.errors import reply_for
from server.ftps.limits import DATA_HANDSHAKE_S
from server.ftps.tls import session_was_reused
from server.ftps.transfers import BLOCK_BYTES, Incoming
from storage.files.errors import StorageError

log = structlog.get_logger(__name__)

RECORD_BYTES = 16384  # the most that one TLS record carries; OpenSSL gives and takes one at a time
BLOCKS_PER_TURN = 4  # sent before the control channel is looked at again
LISTING_LINES_PER_BLOCK = 512
UNEXPECTED_EOF = (-1, "Unexpected EOF")  # how pyOpenSSL reports a FIN without close_notify


class State(Enum):
    """What the channel is doing."""

    IDLE = auto()  # connected; no command has used it yet
    RECEIVING = auto()
    PROVEN = auto()  # everything came; the commit is next
    SENDING = auto()
    ENDING = auto()  # everything is sent; close_notify is next


class Source(Protocol):
    """What a download or listing is read from."""

    def more(self) -> bytes:
        """Give the next block, ``b""`` at the end."""


class _Once:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def more(self) -> bytes:
        data, self._data = self._data, b""
        return data


class DataChannel(TLS_DTPHandler):  # type: ignore[misc]  # pyftpdlib has no types
    """One data connection of one control channel, for one transfer."""

    _lastdata: int

    def __init__(self, sock: socket.socket, cmd_channel: Any) -> None:
        self.state = State.IDLE
        self._reply = ""
        self.timeout = cmd_channel.settings.idle_timeout_s
        self._source: Source | None = None
        self._block = memoryview(b"")
        self._sent = 0
        self._buffer = memoryview(b"")
        self._wire = sock
        cmd_channel.connection.track(sock)
        super().__init__(sock, cmd_channel)
        if self._closed:
            return
        if not self._ssl_requested:  # PASV and PORT are refused without PROT P; this is the second lock
            self._reply = "521 The data connection must be protected: send PROT P."
            self.close()
            return
        self._handshake_timer = self.call_later(DATA_HANDSHAKE_S, self._handshake_late)

    def __repr__(self) -> str:
        return f"<DataChannel {self._fileno} {self.state.name}>"

    # --- what the event loop asks

    def readable(self) -> bool:
        """Whether bytes from the client are wanted."""
        if self._ssl_accepting:
            return not self._ssl_want_write
        return self.state is State.RECEIVING

    def writable(self) -> bool:
        """Whether there is something to send."""
        if self._ssl_accepting:
            return bool(self._ssl_want_write)
        return self.state in {State.SENDING, State.ENDING}

    def handle_read_event(self) -> None:
        """Go on with the handshake or the upload."""
        if self._ssl_accepting:
            self._do_ssl_handshake()
        elif self.state is State.RECEIVING:
            self._receive()

    def handle_write_event(self) -> None:
        """Go on with the handshake or the download."""
        if self._ssl_accepting:
            self._do_ssl_handshake()
        elif self.state is State.SENDING:
            self._send()
        elif self.state is State.ENDING:
            self._end_sending()

    def handle_close(self) -> None:
        """The peer is gone, in both directions; that is no news once everything came."""
        if self.state is not State.PROVEN:
            self._broken()

    def handle_error(self) -> None:
        """Something unforeseen was raised: it is logged, and the transfer fails."""
        log.error("ftps.data_channel_failed", peer=self.cmd_channel.remote_ip, exc_info=sys.exception())
        self.finish("451 Internal error; transfer aborted.")

    def handle_timeout(self) -> None:
        """Called every idle period: a transfer that did not move in it fails, and can be resumed."""
        moved = self.get_transmitted_bytes()
        if moved > self._lastdata:
            self._lastdata = moved
        else:
            self._broken("426 The data connection timed out.")

    # --- TLS

    def handle_ssl_established(self) -> None:
        """Check, where the site wants it, that this is the client of the control connection."""
        self._handshake_timer.cancel()
        if self.cmd_channel.settings.require_session_reuse and not session_was_reused(self.socket):
            self.finish("522 The data connection must resume the control connection's TLS session.")

    def handle_failed_ssl_handshake(self) -> None:
        """Answer as RFC 4217 section 10.2 asks."""
        self.finish("522 The TLS handshake of the data connection failed.")

    def _handshake_late(self) -> None:
        self.finish("522 The TLS handshake of the data connection took too long.")

    # --- an upload

    def enable_receiving(self, type: str, cmd: str) -> None:  # noqa: A002 - pyftpdlib's signature; all types are binary
        """Start to receive into ``file_obj``."""
        self.cmd = cmd
        self.receive = True
        self.state = State.RECEIVING
        self._buffer = memoryview(bytearray(BLOCK_BYTES))

    def _receive(self) -> None:
        filled = 0
        end: SSL.Error | OSError | None = None
        try:
            while filled < BLOCK_BYTES:
                filled += self.socket.recv_into(self._buffer[filled:], RECORD_BYTES)
        except (SSL.WantReadError, SSL.WantWriteError):
            pass
        except (SSL.Error, OSError) as error:
            end = error
        if filled:
            try:
                cast("Incoming", self.file_obj).write(self._buffer[:filled])
            except StorageError as error:
                self.finish(str(reply_for(error)))
                return
            self.tot_bytes_received += filled
        if end is None:
            return
        if self._is_proof(end):
            self.state = State.PROVEN
            self._say_goodbye()
            self.call_later(0, self._settle)
        else:
            self._broken()

    def _is_proof(self, end: SSL.Error | OSError) -> bool:
        if isinstance(end, SSL.ZeroReturnError):
            return True
        return end.args == UNEXPECTED_EOF and not self.cmd_channel.settings.require_close_notify

    def _settle(self) -> None:
        """Commit, unless the control channel has heard by now that it must not (ABOR, or the client is gone)."""
        self.cmd_channel.hear()
        self.commit_if_proven()

    def commit_if_proven(self) -> None:
        """Publish the upload if everything came and nothing has cancelled it; answer either way."""
        if self._closed or self.state is not State.PROVEN:
            return
        try:
            cast("Incoming", self.file_obj).commit()
        except StorageError as error:
            self.finish(str(reply_for(error)))
        else:
            self.transfer_finished = True
            self.finish("226 Transfer complete.")

    # --- a download or a listing

    def push(self, data: bytes) -> None:
        """Send ``data`` and end."""
        self._start_sending(_Once(data))

    def push_with_producer(self, producer: Source) -> None:
        """Send what ``producer`` gives and end."""
        if hasattr(producer, "loops"):  # pyftpdlib's listing producer joins 20 lines at a time
            producer.loops = LISTING_LINES_PER_BLOCK
        self._start_sending(producer)

    def close_when_done(self) -> None:
        """Nothing to add: a source's end ends the channel."""

    def _start_sending(self, source: Source) -> None:
        self._source = source
        self.state = State.SENDING

    def _send(self) -> None:
        source = cast("Source", self._source)
        try:
            for _ in range(BLOCKS_PER_TURN):
                if self._sent == len(self._block):
                    self._block, self._sent = memoryview(source.more()), 0
                    if not self._block:
                        self.state = State.ENDING
                        self._end_sending()
                        return
                while self._sent < len(self._block):
                    sent = self.socket.send(self._block[self._sent : self._sent + RECORD_BYTES])
                    self._sent += sent
                    self.tot_bytes_sent += sent
        except (SSL.WantWriteError, SSL.WantReadError):
            return
        except (SSL.Error, OSError):
            self._broken()
        except StorageError as error:
            self.finish(str(reply_for(error)))

    def _end_sending(self) -> None:
        try:
            self.socket.shutdown()
        except (SSL.WantWriteError, SSL.WantReadError):
            return
        except (SSL.Error, OSError):
            self._broken()
        else:
            self.transfer_finished = True
            self.finish("226 Transfer complete.")

    # --- the end

    @property
    def busy(self) -> bool:
        """Whether a command is using the connection, so that its end owes a reply."""
        return not self._closed and self.state is not State.IDLE

    def cancel(self) -> None:
        """Stop without a reply and without a resume: the caller answers (ABOR)."""
        self._release()
        self.state = State.IDLE
        self.close()

    def finish(self, reply: str) -> None:
        """Close the connection, then answer (RFC 959 section 4.2: in this order)."""
        self._reply = reply
        self.close()

    def _broken(self, reply: str = "426 The data connection broke; transfer aborted.") -> None:
        """Keep what came for REST on this control connection, and say that it is not complete."""
        if isinstance(self.file_obj, Incoming) and self.state is State.RECEIVING:
            try:
                self.file_obj.park()
            except StorageError as error:
                reply = str(reply_for(error))
        self.finish(reply)

    def _say_goodbye(self) -> None:
        try:
            self.socket.shutdown()
        except (SSL.Error, OSError):  # the client may be gone; its own close_notify is what counts
            return

    def _release(self) -> None:
        """Close the file: an upload that was neither committed nor parked is thrown away."""
        if self.file_obj is not None:
            try:
                self.file_obj.close()
            except StorageError as error:
                log.warning("ftps.release_failed", error=repr(error))

    def close(self) -> None:
        """End the connection; a transfer that has not ended by itself is aborted."""
        if self._closed:
            return
        busy = self.busy
        self.cmd_channel.connection.untrack(self._wire)
        AsyncChat.close(self)
        if self._idler is not None and not self._idler.cancelled:
            self._idler.cancel()
        self._release()
        if busy:
            self.cmd_channel.respond(self._reply or "426 Transfer aborted.")
        elif self._reply:
            self.cmd_channel.route_failure = self._reply  # told when a command wants the connection
        self.cmd_channel._on_dtp_close()  # noqa: SLF001 - pyftpdlib's own call between its two handlers
