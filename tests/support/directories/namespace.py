"""Runs a server in this network namespace and relays connections to it; started by ``SambaAd``.

Usage: namespace.py PARENT FD:PORT... -- COMMAND...

PARENT is the process id of the starter. Each FD is an inherited listening socket, which stays in the namespace it was
made in; what connects to it is relayed to 127.0.0.1:PORT here. Prints ``ready`` once every PORT answers. SIGTERM stops
the server and the relay; the end of either, or of the starter, is the end of the other.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys

_PR_SET_PDEATHSIG = 1
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_ABORTIVE = struct.pack("ii", 1, 0)
_CHUNK = 1 << 16
_libc = ctypes.CDLL(None)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def raise_loopback() -> None:
    """Bring the namespace's loopback interface up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = array.array("B", struct.pack("16sh14x", b"lo", 0))
        fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request)
        (flags,) = struct.unpack_from("h", request, 16)
        struct.pack_into("h", request, 16, flags | _IFF_UP)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)


def abort(writer: asyncio.StreamWriter) -> None:
    """Close a connection with a reset."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORTIVE)
    writer.transport.abort()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction to its end, and pass the end on as what it was."""
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    writer.write_eof()


async def relay(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry one connection; asyncio sets TCP_NODELAY on both sides."""
    try:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        abort(writer)
        return
    try:
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))
    except OSError:
        abort(writer)
        abort(inner_writer)
    else:
        writer.close()
        inner_writer.close()


async def wait_for(port: int, server: asyncio.subprocess.Process) -> None:
    """Return when the port answers or the server has ended."""
    while server.returncode is None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.wait([asyncio.ensure_future(server.wait())], timeout=0.01)
        else:
            writer.close()
            return


async def main(forwards: list[tuple[int, int]], command: list[str]) -> int:
    """Run the server and the relay; give the server's exit status."""
    # Only "ready" goes to our output; what the server prints goes where our errors go.
    server = await asyncio.create_subprocess_exec(*command, stdout=sys.stderr, preexec_fn=die_with_parent)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.terminate)
    listeners = []
    for descriptor, port in forwards:
        await wait_for(port, server)

        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int = port) -> None:
            await relay(port, reader, writer)

        listeners.append(await asyncio.start_server(carry, sock=socket.socket(fileno=descriptor)))
    if server.returncode is None:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
    return await server.wait()


if __name__ == "__main__":
    die_with_parent()
    separator = sys.argv.index("--")
    pairs = [argument.split(":") for argument in sys.argv[2:separator]]
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the starter is gone")
    raise_loopback()
    sys.exit(asyncio.run(main([(int(fd), int(port)) for fd, port in pairs], sys.argv[separator + 1 :])))
