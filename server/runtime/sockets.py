"""The listening sockets, opened once by the supervisor and shared by all workers of a role."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass
from ipaddress import ip_address

from config.settings import Settings

BACKLOG = 1024


class CannotListen(Exception):
    """A port cannot be opened; the text says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Listener:
    """One address that a role listens on; ``setting`` is the key by which the operator moves it."""

    role: str
    name: str
    host: str
    port: int
    setting: str


def listeners(settings: Settings) -> tuple[Listener, ...]:
    """List what to listen on, in the order in which each role's ``run`` gets its sockets."""
    host = settings.listen
    wanted: list[Listener] = []
    if settings.sftp.enabled:
        wanted.append(Listener("sftp", "SFTP", host, settings.sftp.port, "sftp.port"))
    if settings.ftps.enabled:
        wanted.append(Listener("ftps", "FTPS, explicit TLS", host, settings.ftps.port, "ftps.port"))
        wanted.append(Listener("ftps", "FTPS, implicit TLS", host, settings.ftps.implicit_port, "ftps.implicit_port"))
    if settings.http.enabled:
        wanted.append(Listener("http", "HTTPS", host, settings.http.port, "http.port"))
    return tuple(wanted)


def listen(listener: Listener) -> socket.socket:
    """Open one listening socket, non-blocking, not inherited unless named. Raises CannotListen."""
    try:
        family = socket.AF_INET6 if ip_address(listener.host).version == 6 else socket.AF_INET  # noqa: PLR2004 - IPv6
    except ValueError:
        raise CannotListen(f"listen = {listener.host!r} is not an IP address; use for example 127.0.0.1") from None
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        opened.bind((listener.host, listener.port))
        opened.listen(BACKLOG)
        opened.setblocking(False)
    except OSError as error:
        opened.close()
        raise CannotListen(_explain(listener, error)) from error
    return opened


def listen_all(settings: Settings) -> dict[Listener, socket.socket]:
    """Open every listener or none. Raises CannotListen."""
    opened: dict[Listener, socket.socket] = {}
    try:
        for listener in listeners(settings):
            opened[listener] = listen(listener)
    except CannotListen:
        for one in opened.values():
            one.close()
        raise
    return opened


def _explain(listener: Listener, error: OSError) -> str:
    place = f"{listener.name} cannot listen on {listener.host} port {listener.port}"
    variable = "QUAYMASTER_" + listener.setting.upper().replace(".", "__")
    remedy = f"set {listener.setting} in the configuration, or {variable} in the environment, to a free port"
    match error.errno:
        case errno.EADDRINUSE:
            return f"{place}: another program uses this port. Stop it, or {remedy}."
        case errno.EACCES:
            return f"{place}: ports below 1024 need the capability CAP_NET_BIND_SERVICE. Grant it, or {remedy}."
        case errno.EADDRNOTAVAIL:
            return f"{place}: this machine has no such address. Set listen to one that it has."
        case _:
            return f"{place}: {os.strerror(error.errno or 0)}."
