"""One SSH session channel: SFTP, or a clear sentence about why not (asyncssh 2.24.1)."""

# ruff: noqa: ARG002 - the signatures are asyncssh's

from __future__ import annotations

import asyncio
from typing import Final

import asyncssh
import structlog
from asyncssh import SSHReader, SSHServerChannel, SSHWriter
from asyncssh.packet import SSHPacket
from asyncssh.stream import SSHServerStreamSession

from server.sftp.client import Client
from server.sftp.connection import Connection
from server.sftp.filesystem import WorkspaceServer
from server.sftp.handler import SftpHandler

log = structlog.get_logger(__name__)

ONLY_SFTP: Final = "This server offers SFTP only: no shell and no commands. Use sftp, or scp without -O.\n"
_EXIT_REFUSED: Final = 1
_WINDOW: Final = 2 * 1024 * 1024
_PACKET: Final = 32 * 1024


class SftpChannel(SSHServerChannel[bytes]):
    """A channel that takes no environment: asyncssh would keep any number of variables."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(
            connection,
            asyncio.get_running_loop(),
            allow_pty=False,
            line_editor=False,
            line_echo=False,
            line_history=0,
            max_line_length=1024,
            encoding=None,
            errors="strict",
            window=_WINDOW,
            max_pktsize=_PACKET,
        )

    def _process_env_request(self, packet: SSHPacket) -> bool:
        """Refuse; clients go on without."""
        return False


class SftpSession(SSHServerStreamSession[bytes]):
    """What a client does on one channel."""

    def __init__(self, client: Client, connection: Connection, *, hard_links: bool) -> None:
        super().__init__(None)
        self._client = client
        self._connection = connection
        self._hard_links = hard_links

    def pty_requested(self, *_: object) -> bool:
        """Refuse a terminal."""
        return False

    def shell_requested(self) -> bool:
        """Take the request, to answer it with a sentence and a failure at once."""
        return True

    def exec_requested(self, command: str) -> bool:
        """Take the request, to answer it with a sentence and a failure at once; nothing is ever run."""
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        """Offer SFTP and nothing else."""
        return subsystem == "sftp"

    def session_started(self) -> None:
        """Serve SFTP, or say that nothing else is offered."""
        channel = self._chan
        assert isinstance(channel, SSHServerChannel)  # noqa: S101 - what connection_made was given
        if channel.get_subsystem() != "sftp":
            log.info("sftp.command_refused", session=self._client.session.id)
            channel.write_stderr(ONLY_SFTP.encode())
            channel.exit(_EXIT_REFUSED)
            return
        reader, writer = SSHReader[bytes](self, channel), SSHWriter[bytes](self, channel)
        filesystem = WorkspaceServer(channel, self._client.files, self._client.bridge, self._client.name)
        handler = SftpHandler(filesystem, self._client, self._connection, (reader, writer), hard_links=self._hard_links)
        self._client.serve(self._connection.create_task(_served(handler), reader.logger))

    # asyncssh puts these into the stream as exceptions, which would end the SFTP session

    def signal_received(self, signal: str) -> None:
        """Ignore."""

    def break_received(self, msec: int) -> bool:
        """Ignore."""
        return False

    def soft_eof_received(self) -> None:
        """Ignore."""

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        """Ignore."""


async def _served(handler: SftpHandler) -> None:
    """Run a channel to its end; its handles are ended whatever happens."""
    try:
        await handler.run()
    except (OSError, asyncssh.Error, EOFError):
        log.debug("sftp.channel_lost")
    finally:
        await handler.finish()
