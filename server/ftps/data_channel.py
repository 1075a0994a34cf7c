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
from pyftpdlib.handlers.ftp.data import DTPHandler
from pyftpdlib.ioloop import AsyncChat

from server.ftps.errors import reply_for, trace_of
from server.ftps.limits import DATA_HANDSHAKE_S
from server.ftps.transfers import BLOCK_BYTES, Incoming
from server.ftps.wire import RECORD_BYTES, Wire
from storage.files.errors import StorageError

log = structlog.get_logger(__name__)

BLOCKS_PER_TURN = 4  # sent before the control channel is looked at again
LISTING_LINES_PER_BLOCK = 512


class State(Enum):
    """What the channel is doing."""

    IDLE = auto()  # connected; no command has used it yet
    RECEIVING = auto()
    PROVEN = auto()  # everything came; the commit is next
    SENDING = auto()
    ENDING = auto()  # everything is given to TLS; the last bytes are on their way


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


class DataChannel(DTPHandler):  # type: ignore[misc]  # pyftpdlib has no types
    """One data connection of one control channel, for one transfer."""

    _lastdata: int

    def __init__(self, sock: socket.socket, cmd_channel: Any) -> None:
        self.state = State.IDLE
        self.timeout = cmd_channel.settings.idle_timeout_s
        self._reply = ""
        self._source: Source | None = None
        self._buffer = memoryview(b"")
        self._raw = sock
        cmd_channel.connection.track(sock)
        self._wire = Wire(cmd_channel.ssl_context, sock)
        super().__init__(sock, cmd_channel)
        if self._closed:
            return
        if not cmd_channel.data_is_private:  # PASV and PORT are refused without PROT P; this is the second lock
            self.finish("521 The data connection must be protected: send PROT P.")
            return
        self._handshake_timer = self.call_later(DATA_HANDSHAKE_S, self._handshake_late)

    def __repr__(self) -> str:
        return f"<DataChannel {self._fileno} {self.state.name}>"

    # --- what the event loop asks

    def readable(self) -> bool:
        """Whether bytes from the client are wanted."""
        return not self._wire.established or self.state is State.RECEIVING

    def writable(self) -> bool:
        """Whether there is something to send."""
        return self._wire.waiting or (self._wire.established and self.state is State.SENDING)

    def handle_read_event(self) -> None:
        """Go on with the handshake or the upload."""
        try:
            more = self._wire.pull()
        except BlockingIOError:
            return
        except OSError:
            self._broken()
            return
        if not more:
            self._fin()
        elif self._wire.established or self._shake_hands():
            self._receive()

    def handle_write_event(self) -> None:
        """Go on with the handshake or the download."""
        try:
            if not self._wire.flush():
                return
            if self.state is State.SENDING and self._wire.established:
                self._send()
        except OSError:
            self._broken()
            return
        except StorageError as error:
            self.finish(str(reply_for(error)))
            return
        if self.state is State.ENDING and not self._wire.waiting:
            self.transfer_finished = True
            self.finish("226 Transfer complete.")

    def handle_close(self) -> None:
        """The peer is gone, in both directions; that is no news once everything came."""
        if self.state is not State.PROVEN:
            self._broken()

    def handle_error(self) -> None:
        """Something unforeseen was raised: it is logged, and the transfer fails."""
        log.error("ftps.data_channel_failed", peer=self.cmd_channel.remote_ip, trace=trace_of(sys.exception()))
        self.finish("451 Internal error; transfer aborted.")

    def handle_timeout(self) -> None:
        """Called every idle period: a transfer that did not move in it fails, and can be resumed."""
        moved = self.get_transmitted_bytes()
        if moved > self._lastdata:
            self._lastdata = moved
        else:
            self._broken("426 The data connection timed out.")

    # --- TLS

    def _shake_hands(self) -> bool:
        """Go on; whether TLS is there now. Answers a failure as RFC 4217 section 10.2 asks."""
        try:
            if not self._wire.shake_hands():
                return False
        except (SSL.Error, OSError):
            self.finish("522 The TLS handshake of the data connection failed.")
            return False
        self._handshake_timer.cancel()
        if self.cmd_channel.settings.require_session_reuse and not self._wire.resumed:
            self.finish("522 The data connection must resume the control connection's TLS session.")
            return False
        return True

    def _handshake_late(self) -> None:
        self.finish("522 The TLS handshake of the data connection took too long.")

    # --- an upload

    def enable_receiving(self, type: str, cmd: str) -> None:  # noqa: A002 - pyftpdlib's signature; all types are binary
        """Start to receive into ``file_obj``."""
        self.cmd = cmd
        self.receive = True
        self.state = State.RECEIVING
        self._buffer = memoryview(bytearray(BLOCK_BYTES))
        if self._wire.established:
            self._receive()  # what came with the end of the handshake

    def _receive(self) -> None:
        """Store what has come, in blocks, up to the end if it is there."""
        while self.state is State.RECEIVING and not self._closed:
            filled = 0
            end: SSL.Error | None = None
            try:
                while filled + RECORD_BYTES <= BLOCK_BYTES:
                    filled += self._wire.decrypt_into(self._buffer[filled:])
            except SSL.Error as error:
                end = error
            if filled and not self._store(filled):
                return
            match end:
                case None:
                    continue
                case SSL.WantReadError():
                    return
                case SSL.ZeroReturnError():
                    self._everything_came()
                case _:
                    self._broken()

    def _store(self, count: int) -> bool:
        try:
            cast("Incoming", self.file_obj).write(self._buffer[:count])
        except StorageError as error:
            self.finish(str(reply_for(error)))
            return False
        self.tot_bytes_received += count
        return True

    def _fin(self) -> None:
        """TCP's end without TLS's: no proof, unless the site takes it for one."""
        lenient = not self.cmd_channel.settings.require_close_notify
        if self.state is State.RECEIVING and self._wire.established and lenient:
            self._everything_came()
        else:
            self._broken()

    def _everything_came(self) -> None:
        self.state = State.PROVEN
        try:
            self._wire.say_goodbye()
            self._wire.flush()
        except (SSL.Error, OSError):
            pass  # the client may be gone; its own close_notify is what counts
        self.call_later(0, self._settle)

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
        for _ in range(BLOCKS_PER_TURN):
            block = source.more()
            if block:
                self._wire.encrypt(memoryview(block))
                self.tot_bytes_sent += len(block)
            else:
                self._wire.say_goodbye()
                self.state = State.ENDING
            if not self._wire.flush() or self.state is State.ENDING:
                return

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
        self.cmd_channel.connection.untrack(self._raw)
        AsyncChat.close(self)
        if self._idler is not None and not self._idler.cancelled:
            self._idler.cancel()
        self._release()
        if busy:
            self.cmd_channel.respond(self._reply or "426 Transfer aborted.")
        elif self._reply.startswith("52"):  # about TLS: told when a command wants the connection
            self.cmd_channel.route_failure = self._reply
        self.cmd_channel._on_dtp_close()  # noqa: SLF001 - pyftpdlib's own call between its two handlers
