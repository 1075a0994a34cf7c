"""The packets of one SFTP channel: asyncssh's handler with its gaps closed (asyncssh 2.24.1)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

import structlog
from asyncssh import SSHReader, SSHServerChannel, SSHWriter, constants
from asyncssh.packet import PacketDecodeError, SSHPacket
from asyncssh.sftp import (
    SFTPBadMessage,
    SFTPEOFError,
    SFTPInvalidHandle,
    SFTPInvalidParameter,
    SFTPLimits,
    SFTPName,
    SFTPServerHandler,
)

from server.sftp.client import Client
from server.sftp.connection import Connection
from server.sftp.errors import sftp_error
from server.sftp.extensions import copy_data, home_of
from server.sftp.filesystem import Listing, WorkspaceServer
from server.sftp.handles import FileHandle
from server.sftp.limits import MAX_PACKET, MAX_READ, MAX_WRITE
from storage.files.errors import TooManyOpen

log = structlog.get_logger(__name__)

VERSION: Final = 3
EXTENSIONS: Final = (
    (b"posix-rename@openssh.com", b"1"),
    (b"statvfs@openssh.com", b"2"),
    (b"fstatvfs@openssh.com", b"2"),
    (b"fsync@openssh.com", b"1"),
    (b"lsetstat@openssh.com", b"1"),
    (b"limits@openssh.com", b"1"),
    (b"expand-path@openssh.com", b"1"),
    (b"copy-data", b"1"),
    (b"home-directory", b"1"),
)
HARD_LINK: Final = (b"hardlink@openssh.com", b"1")

# Left out: requests of versions 5 and 6, and ranges@asyncssh.com, which asks a host file for its holes.
_DROPPED: Final = frozenset({constants.FXP_LINK, constants.FXP_BLOCK, constants.FXP_UNBLOCK, b"ranges@asyncssh.com"})

_Handler = Callable[[Any, SSHPacket], Awaitable[object]]
_Names = tuple[list[SFTPName], bool]


_LIBRARY_HANDLERS: Final = {
    kind: cast("_Handler", handler)
    for kind, handler in SFTPServerHandler._packet_handlers.items()  # noqa: SLF001 - requests are found in it alone
    if kind not in _DROPPED
}


def _guarded(handler: _Handler) -> _Handler:
    """Turn whatever a request raises into a status; asyncssh would send an exception's text to the client."""

    async def guarded(self: SftpHandler, packet: SSHPacket) -> object:
        try:
            return await handler(self, packet)
        except PacketDecodeError:
            raise
        except Exception as error:
            raise sftp_error(error) from error

    return guarded


class SftpHandler(SFTPServerHandler):
    """Requests run strictly one after another, as asyncssh does it."""

    def __init__(
        self,
        filesystem: WorkspaceServer,
        client: Client,
        connection: Connection,
        streams: tuple[SSHReader[bytes], SSHWriter[bytes]],
        *,
        hard_links: bool,
    ) -> None:
        super().__init__(filesystem, *streams, VERSION)
        self._filesystem = filesystem
        self._client = client
        self._connection = connection
        self._extensions = [*EXTENSIONS, *([HARD_LINK] if hard_links else [])]
        self._listings: dict[bytes, Listing] = {}

    async def recv_packet(self) -> SSHPacket:
        """Receive a packet of the size that limits@openssh.com names, not asyncssh's 4 MiB."""
        reader = self._reader
        if reader is None:
            raise EOFError
        length = int.from_bytes(await reader.readexactly(4), "big")
        if length > MAX_PACKET:
            raise SFTPBadMessage("The packet is too long.")
        return SSHPacket(await reader.readexactly(length))

    async def recv_packets(self) -> None:
        """Serve until the channel ends; a client below version 3 is not served."""
        if self._version != VERSION:
            await self._cleanup(SFTPBadMessage("SFTP version 3 is needed."))
            return
        await super().recv_packets()

    async def _process_packet(self, pkttype: int, pktid: int, packet: SSHPacket) -> None:
        """Answer one request, then wait until the answer has room: asyncssh buffers without end."""
        with self._client.request():
            await super()._process_packet(pkttype, pktid, packet)
        await self._connection.drained(self._writer)

    async def _cleanup(self, exc: Exception | None) -> None:
        """End the channel: handles that the client did not CLOSE are aborted, each on its own.

        asyncssh would call ``close`` for them, as if the client had, and stop at the first that raises.
        """
        files, self._file_handles = self._file_handles, {}
        listings, self._listings, self._dir_handles = self._listings, {}, {}
        self._client.closed(len(files) + len(listings))
        for file in files.values():
            try:
                await self._filesystem.abort(file)
            except Exception:
                log.exception("sftp.abort_failed")
        for listing in listings.values():
            try:
                await self._client.bridge.io(listing.close)
            except Exception:
                log.exception("sftp.listing_close_failed")
        writer = self._writer
        if writer is not None and not writer.channel.is_closing():
            # OpenSSH's scp reports failure without an exit status
            cast("SSHServerChannel[bytes]", writer.channel).exit(0 if exc is None else 1)
        await super()._cleanup(exc)

    async def finish(self) -> None:
        """See that the channel was ended; a second time does nothing."""
        await self._cleanup(None)

    # Requests that asyncssh's handler answers wrongly or not at all ---------------------------------

    async def _process_open(self, packet: SSHPacket) -> bytes:
        self._check_room()
        handle = await super()._process_open(packet)
        self._client.opened()
        return handle

    async def _process_close(self, packet: SSHPacket) -> None:
        handle = packet.get_string()
        packet.check_end()
        if handle not in self._file_handles and handle not in self._listings:
            raise SFTPInvalidHandle("Invalid handle.")
        file = self._file_handles.pop(handle, None)
        listing = self._listings.pop(handle, None)
        try:
            if file is not None:
                await self._filesystem.close(file)
            if listing is not None:
                await self._client.bridge.io(listing.close)
        finally:
            self._client.closed()

    async def _process_opendir(self, packet: SSHPacket) -> bytes:
        path = packet.get_string()
        packet.check_end()
        self._check_room()
        listing = await self._filesystem.open_listing(path)
        handle = self._new_handle()
        self._listings[handle] = listing
        self._client.opened()
        return handle

    async def _process_readdir(self, packet: SSHPacket) -> _Names:
        handle = packet.get_string()
        packet.check_end()
        listing = self._listings.get(handle)
        if listing is None:
            raise SFTPInvalidHandle("Invalid handle.")
        names = await self._filesystem.next_names(listing)
        if not names:
            raise SFTPEOFError
        return names, False

    async def _process_limits(self, packet: SSHPacket) -> SFTPLimits:
        packet.check_end()
        return SFTPLimits(MAX_PACKET, MAX_READ, MAX_WRITE, self._client.max_open_files)

    async def _process_copy_data(self, packet: SSHPacket) -> None:
        source, start, length = self._file(packet.get_string()), packet.get_uint64(), packet.get_uint64()
        target, position = self._file(packet.get_string()), packet.get_uint64()
        packet.check_end()
        if source.same_file(target):
            raise SFTPInvalidParameter("The source and the target are the same file.")
        await copy_data(self._client.bridge, source, target, start=start, length=length, position=position)

    async def _process_expand_path(self, packet: SSHPacket) -> _Names:
        path = packet.get_string()
        packet.check_end()
        return await self._place(home_of(path, self._client.name))

    async def _process_home_directory(self, packet: SSHPacket) -> _Names:
        name = packet.get_string()
        packet.check_end()
        return await self._place(home_of(b"~" + name, self._client.name))

    async def _place(self, path: bytes) -> _Names:
        return [SFTPName(await self._filesystem.realpath(path))], False

    def _check_room(self) -> None:
        if self._client.handles >= self._client.max_open_files:
            raise TooManyOpen("the session's handles are used up")

    def _new_handle(self) -> bytes:
        while (handle := self._get_next_handle()) in self._listings:
            pass
        return handle

    def _file(self, handle: bytes) -> FileHandle:
        file = self._file_handles.get(handle)
        if file is None:
            raise SFTPInvalidHandle("Invalid handle.")
        return cast("FileHandle", file)

    # asyncssh finds a request's method and its answer's type in these tables, not by name

    _packet_handlers: dict[int | bytes, Any] = {  # noqa: RUF012 - a table of the class, as in the base
        kind: _guarded(handler)
        for kind, handler in {
            **_LIBRARY_HANDLERS,
            constants.FXP_OPEN: _process_open,
            constants.FXP_CLOSE: _process_close,
            constants.FXP_OPENDIR: _process_opendir,
            constants.FXP_READDIR: _process_readdir,
            b"limits@openssh.com": _process_limits,
            b"copy-data": _process_copy_data,
            b"expand-path@openssh.com": _process_expand_path,
            b"home-directory": _process_home_directory,
        }.items()
    }
    _return_types: dict[object, int] = {  # noqa: RUF012 - as above
        **SFTPServerHandler._return_types,  # noqa: SLF001 - as above
        b"expand-path@openssh.com": constants.FXP_NAME,
        b"home-directory": constants.FXP_NAME,
    }
