"""Listening sockets, and what a person is told when one cannot be opened."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from config.settings import FtpsSettings, HttpSettings, Settings, SftpSettings
from server.runtime.sockets import CannotListen, Listener, listen, listen_all, listeners


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_port_in_use_is_explained() -> None:
    """The message names the protocol, the port, the cause, and both ways to move the port."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CannotListen) as caught:
            listen(Listener("sftp", "SFTP", "127.0.0.1", port, "sftp.port"))

    message = str(caught.value)
    assert f"127.0.0.1 port {port}: another program uses this port" in message
    assert "sftp.port" in message
    assert "QUAYMASTER_SFTP__PORT" in message


@pytest.mark.parametrize("host", ["localhost", "192.0.2.77", "no address"])
def test_an_address_that_cannot_be_used_is_explained(host: str) -> None:
    """A name, an address of another machine, and nonsense are each refused in words."""
    with pytest.raises(CannotListen, match=r"address|listen"):
        listen(Listener("sftp", "SFTP", host, free_port(), "sftp.port"))


def test_all_listeners_or_none() -> None:
    """When the last port is taken, the ones before it are given back."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        sftp = free_port()
        settings = Settings(
            data=Path("data"),
            sftp=SftpSettings(port=sftp),
            ftps=FtpsSettings(enabled=False),
            http=HttpSettings(port=other.getsockname()[1]),
        )
        with pytest.raises(CannotListen):
            listen_all(settings)

    with socket.socket() as again:
        again.bind(("127.0.0.1", sftp))
        assert again.getsockname()[1] == sftp


def test_a_socket_is_not_inherited_unless_it_is_named() -> None:
    """A program that a worker might start gets no listening socket."""
    opened = listen(Listener("sftp", "SFTP", "127.0.0.1", free_port(), "sftp.port"))
    with opened:
        assert not opened.get_inheritable()
        assert not opened.getblocking()


def test_ftps_gets_the_explicit_socket_first() -> None:
    """The order in which a worker gets its sockets is part of its contract."""
    names = [listener.name for listener in listeners(Settings()) if listener.role == "ftps"]

    assert names == ["FTPS, explicit TLS", "FTPS, implicit TLS"]
