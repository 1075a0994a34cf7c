"""Checks of the listeners: is the port free, ours already, or somebody else's?"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Callable, Iterator

from config.settings import Settings
from server.cli.checks.check import Check, fail, ok

PROBE_S = 3.0
BANNER_BYTES = 64


def check_ports(settings: Settings) -> Iterator[Check]:
    """Check each listener of the enabled front ends."""
    for key, port in settings.listeners:
        yield _check_port(key, settings.listen, port)


def _check_port(key: str, listen: str, port: int) -> Check:
    name = f"port {port}"
    family = socket.AF_INET6 if ":" in listen else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listen, port))
        except OSError as error:
            return _taken(key, listen, port) if error.errno == errno.EADDRINUSE else _refused(name, key, listen, error)
    return ok(name, f"free for {key}")


def _refused(name: str, key: str, listen: str, error: OSError) -> Check:
    match error.errno:
        case errno.EACCES:
            return fail(
                name,
                f"{key} needs privileges for a port below 1024",
                "give the service CAP_NET_BIND_SERVICE, lower net.ipv4.ip_unprivileged_port_start, or use another port",
            )
        case errno.EADDRNOTAVAIL:
            return fail(name, f"this machine has no address {listen}", "correct the setting listen")
        case number:
            return fail(name, f"{key} cannot listen: {os.strerror(number or 0)}", "correct listen and the port")


def _taken(key: str, listen: str, port: int) -> Check:
    name = f"port {port}"
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen, listen)  # noqa: S104 - compared, not bound
    try:
        with socket.create_connection((address, port), PROBE_S) as connection:
            served = _PROBES[key](connection)
    except OSError:
        served = False
    if served:
        return ok(name, f"served as {key}")
    return fail(
        name, f"{key} is taken by another program", f"find it with: ss -ltnp sport = :{port}; stop it or set {key}"
    )


def _speaks(banner: bytes) -> Callable[[socket.socket], bool]:
    return lambda connection: connection.recv(BANNER_BYTES).startswith(banner)


def _speaks_tls(connection: socket.socket) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # whether it answers, not whom to trust
    with context.wrap_socket(connection):
        return True


_PROBES: dict[str, Callable[[socket.socket], bool]] = {
    "sftp.port": _speaks(b"SSH-2.0-"),
    "ftps.port": _speaks(b"220"),
    "ftps.implicit_port": _speaks_tls,
    "http.port": _speaks_tls,
}
