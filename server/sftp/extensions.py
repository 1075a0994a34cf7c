"""SFTP extensions with work of their own: copy-data, and where home is."""

from __future__ import annotations

from server.runtime.bridge import Bridge
from server.sftp.handles import FileHandle
from server.sftp.limits import COPY_CHUNK
from storage.files.errors import NotFound


async def copy_data(
    bridge: Bridge, source: FileHandle, target: FileHandle, *, start: int, length: int, position: int
) -> None:
    """Copy between two open files (draft-ietf-secsh-filexfer-extensions-00 section 7); 0 means to the end.

    In chunks that each give way to other sessions, and never past where the source ended at the
    beginning: asyncssh 2.24.1 copies without a single pause, and a file onto itself for ever.
    """
    left = max(0, (await bridge.io(source.stat)).size - start)
    if length:
        left = min(left, length)
    while left > 0:
        data = await bridge.io(source.read, start, min(left, COPY_CHUNK))
        if not data:
            return
        await bridge.io(target.write, position, data)
        start += len(data)
        position += len(data)
        left -= len(data)


def home_of(path: bytes, user: str) -> bytes:
    """Expand a leading ``~`` or ``~user``: everybody's home is ``/``, and only the own one is known."""
    if not path.startswith(b"~"):
        return path
    name, _, rest = path[1:].partition(b"/")
    if name and name != user.encode():
        raise NotFound("another user's home")
    return b"/" + rest
