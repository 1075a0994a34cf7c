"""The SSH connection: asyncssh's, with bounded buffers and authentication that cannot be skipped (2.24.1)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

import asyncssh
import structlog
from asyncssh import SSHServerConnection, SSHServerConnectionOptions, SSHWriter
from asyncssh.auth import ServerAuth, lookup_server_auth
from asyncssh.packet import SSHPacket

from server.sftp.limits import MAX_UNAUTHENTICATED_INPUT

if TYPE_CHECKING:
    from server.sftp.authentication import Doorman

log = structlog.get_logger(__name__)

WRITE_BUFFER: Final = 1024 * 1024  # bytes that may wait for a client to read, over all its channels
LINGER_S: Final = 2.0  # how long a last message may take to reach the client


class PasswordAuth(ServerAuth):
    """Password sign-in that takes the password as it was typed.

    asyncssh runs SASLprep of Unicode 3.2 over it: a password with an emoji ends the connection, and
    "ﬁ" would become "fi", which neither a directory nor another front end would agree to.
    """

    async def _start(self, packet: SSHPacket) -> None:
        change = packet.get_boolean()
        password = packet.get_string()
        if change:
            packet.get_string()
        packet.check_end()
        conn = cast("Connection", self._conn)
        if not change and await conn.doorman.validate_password_bytes(self._username, password):
            await self.send_success()
        else:
            self.send_failure()


class Connection(SSHServerConnection):
    """One client's TCP connection, from the first byte on."""

    def __init__(self, loop: asyncio.AbstractEventLoop, options: SSHServerConnectionOptions) -> None:
        super().__init__(loop, options)
        self._has_room = asyncio.Event()
        self._has_room.set()

    @property
    def doorman(self) -> Doorman:
        """The SSHServer object of this connection."""
        return cast("Doorman", self._owner)

    @property
    def session_id(self) -> bytes:
        """The exchange hash of the first key exchange, which signatures are bound to."""
        return self._session_id

    @property
    def peer(self) -> str:
        """The client's address."""
        return self._peer_addr

    @property
    def is_open(self) -> bool:
        """Whether the connection is not being closed."""
        return self._transport is not None

    @property
    def open_channels(self) -> int:
        """Channels that have not closed."""
        return len(self._channels)

    # Buffers -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, with room for a bounded number of bytes that the client does not read."""
        cast("asyncio.Transport", transport).set_write_buffer_limits(high=WRITE_BUFFER)
        super().connection_made(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes, datatype: int | None = None) -> None:
        """Take bytes in; before sign-in only so many, as asyncssh piles them up while it waits."""
        if self._transport is None:
            return
        super().data_received(data, datatype)
        if not self._auth_complete and len(self._inpbuf) > MAX_UNAUTHENTICATED_INPUT:
            log.warning("sftp.input_flood", peer=self._peer_addr)
            self.abort()

    def pause_writing(self) -> None:
        """The client does not read: take no more requests until it does (asyncssh ignores this call)."""
        self._has_room.clear()
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._has_room.set()
        if self._transport is not None:
            self._transport.resume_reading()

    async def drained(self, writer: SSHWriter[bytes] | None) -> None:
        """Wait until the channel's window and the socket have room, or the connection is gone.

        Both: a client may announce a window of 4 GiB and never read its socket.
        """
        if writer is not None and not writer.channel.is_closing():
            try:
                await writer.drain()
            except (OSError, asyncssh.Error):
                return  # the reader will say that the connection is gone, after what it still holds
        if self._transport is not None:
            await self._has_room.wait()

    def _cleanup(self, exc: Exception | None) -> None:
        self._has_room.set()
        super()._cleanup(exc)

    # Authentication --------------------------------------------------------------------------------

    async def reload_config(self) -> None:
        """Do nothing: there is no configuration file, and asyncssh would queue in the loop's default threads."""

    async def _finish_userauth(self, begin_auth: bool, method: bytes, packet: SSHPacket) -> None:  # noqa: FBT001 - asyncssh's signature
        """Start one attempt. asyncssh logs a user in when ``begin_auth`` gives anything falsy; here it cannot."""
        owner = cast("asyncssh.SSHServer | None", self._owner)
        if owner is None:
            return
        # paramiko asks for the service anew before each attempt; asyncssh would end the connection for that
        self._next_service = b"ssh-userauth"
        if begin_auth:
            owner.begin_auth(self._username)
        if self._auth is not None:
            self._auth.cancel()
        if method == b"password":
            self._auth = PasswordAuth(self, self._username, method, packet)
        else:
            self._auth = lookup_server_auth(self, self._username, method, packet)

    async def validate_public_key(self, username: str, key_data: bytes, msg: bytes, signature: bytes) -> bool:
        """Check an offered key, or a signature; asyncssh tells its hook neither which, nor the outcome."""
        if not self.is_open:
            return False
        signed = asyncssh.packet.String(self._session_id) + msg if msg else b""
        return await self.doorman.check_public_key(username, key_data, signed, signature)

    # Ends ------------------------------------------------------------------------------------------

    def say_goodbye(self, code: int, reason: str) -> None:
        """Disconnect with a message that the client gets to see.

        asyncssh's own ``disconnect`` aborts the socket before the message has left it.
        """
        transport = self._transport
        if transport is None:
            return
        for channel in list(self._channels.values()):
            channel.close()
        self._send_disconnect(code, reason, "en")
        self._transport = None
        transport.close()
        self._loop.call_later(LINGER_S, transport.abort)
        self._loop.call_soon(self._cleanup, None)

    def cut(self, reason: str) -> None:
        """Drop the client now. It learns why only if nothing else is waiting to be sent to it."""
        transport = self._transport
        if transport is None:
            return
        if transport.get_write_buffer_size():
            self.abort()
        else:
            self.say_goodbye(asyncssh.DISC_BY_APPLICATION, reason)
