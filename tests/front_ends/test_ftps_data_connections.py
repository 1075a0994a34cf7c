"""Where data connections may come from and go to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.ftps.passive import listen_in_range
from tests.support.ftps_site import FtpsSite, serving_ftps
from tests.support.ports import claim_ports
from tests.support.raw_ftp import RawFtp


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FtpsSite]:
    with serving_ftps(tmp_path) as site:
        yield site


def test_an_exhausted_range_is_told_and_never_left(tmp_path: Path) -> None:
    """With every port of the range taken: 425, not a random port that a firewall drops."""
    block = claim_ports()
    first = block.port(0)
    with (
        serving_ftps(tmp_path, passive_ports=f"{first}-{first + 1}") as site,
        RawFtp(site).login() as one,
        RawFtp(site).login() as two,
        RawFtp(site).login() as three,
    ):
        assert {one.passive(), two.passive()} == {first, first + 1}
        assert three.ask("EPSV").startswith("425 ")
        assert three.ask("PASV").startswith("425 ")
        one.ask("ABOR")

        assert three.upload("STOR /a", b"data").startswith("226 ")
    block.release()


def test_workers_share_the_range(tmp_path: Path) -> None:
    """A port that another process holds is passed over, in whatever state it is."""
    block = claim_ports()
    ports = range(block.port(0), block.port(3))
    with (
        socket.create_server(("127.0.0.1", ports[0])),
        listen_in_range("127.0.0.1", socket.AF_INET, ports[1:2]) or pytest.fail("no port"),
    ):
        for _ in range(20):
            listener = listen_in_range("127.0.0.1", socket.AF_INET, ports)
            assert listener is not None
            assert listener.getsockname()[1] == ports[2]
            listener.close()
    block.release()


def test_each_pasv_gives_the_last_port_back(tmp_path: Path) -> None:
    """One control connection holds one passive port, however often it asks."""
    block = claim_ports()
    first = block.port(0)
    with serving_ftps(tmp_path, passive_ports=f"{first}-{first + 1}") as site, RawFtp(site).login() as client:
        ports = [client.passive() for _ in range(50)]

        assert set(ports) <= {first, first + 1}
        assert RawFtp(site).login().passive() in {first, first + 1}
    block.release()


def test_a_stranger_s_data_connection_is_dropped_and_the_port_waits_on(site: FtpsSite) -> None:
    """A connection from another address gets nothing, disturbs no replies, and the client still can connect."""
    site.put("/a", b"data")
    with RawFtp(site).login() as client:
        port = client.passive()
        with socket.create_connection(("127.0.0.1", port), timeout=20, source_address=("127.0.0.2", 0)) as stranger:
            assert stranger.recv(10) == b""
        sock = client.connect(port)
        assert client.ask("RETR /a")[:4] in {"150 ", "125 "}

        assert client.data_tls(sock).recv(10) == b"data"
        assert client.reply().startswith("226 ")


@pytest.mark.parametrize(
    "command",
    [
        "PORT 127,0,0,2,200,10",
        "EPRT |1|127.0.0.2|51210|",
        "EPRT |1|10.0.0.1|51210|",
        "PORT 127,0,0,1,0,22",
        "EPRT |1|127.0.0.1|1023|",
        "EPRT |1|no address|5000|",
        "PORT nonsense",
    ],
)
def test_the_server_connects_to_nobody_else(site: FtpsSite, command: str) -> None:
    """PORT and EPRT go to the client's own address and to unprivileged ports (RFC 2577): no bounce."""
    with RawFtp(site).login() as client:
        assert client.ask(command).startswith("501 ")


@pytest.mark.parametrize("command", ["PORT", "EPRT"])
def test_the_server_connects_to_the_client(site: FtpsSite, command: str) -> None:
    """Active mode works, with the server still the TLS server (RFC 4217 section 7)."""
    with RawFtp(site).login() as client, socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        where = f"127,0,0,1,{port >> 8},{port & 255}" if command == "PORT" else f"|1|127.0.0.1|{port}|"
        assert client.ask(f"{command} {where}").startswith("200 ")
        sock, _ = listener.accept()
        assert client.ask("STOR /a")[:4] in {"150 ", "125 "}
        data = client.data_tls(sock)
        data.sendall(b"actively")
        data.unwrap().close()

        assert client.reply().startswith("226 ")
        assert site.get("/a") == b"actively"
        assert client.upload("STOR /b", b"passively").startswith("226 ")


def test_an_unreachable_client_is_told(site: FtpsSite) -> None:
    """Nobody listens at the port that the client named: 425."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with RawFtp(site).login() as client:
        assert client.ask(f"PORT 127,0,0,1,{port >> 8},{port & 255}").startswith("425 ")
        assert client.ask("LIST").startswith("425 ")


@pytest.mark.parametrize("command", ["LIST", "STOR /a", "RETR /a", "APPE /a", "STOU", "MLSD", "NLST"])
def test_a_transfer_without_a_data_connection_is_refused(site: FtpsSite, command: str) -> None:
    """425 at once, not a wait without end."""
    site.put("/a", b"data")
    with RawFtp(site).login() as client:
        assert client.ask(command).startswith("425 ")
        assert site.names() == ["a"]


def test_a_new_pasv_ends_the_transfer_before_it(site: FtpsSite) -> None:
    """426 for the upload in flight, uncommitted; then the new port."""
    with RawFtp(site).login() as client:
        data = client.start_upload("STOR /a")
        data.sendall(b"x")
        assert client.ask("EPSV").startswith("426 ")
        assert client.reply().startswith("229 ")
        assert site.names() == []


def test_epsv_all_rules_out_the_others(site: FtpsSite) -> None:
    """RFC 2428 section 4."""
    with RawFtp(site).login() as client:
        assert client.ask("EPSV ALL").startswith("200 ")
        assert client.ask("PASV").startswith("501 ")
        assert client.ask("PORT 127,0,0,1,200,10").startswith("501 ")
        assert client.ask("EPSV 2").startswith("522 ")
        assert client.upload("STOR /a", b"data").startswith("226 ")


def test_pasv_names_the_address_that_the_site_says(tmp_path: Path) -> None:
    """Behind NAT, PASV shows masquerade_address; EPSV shows none."""
    with serving_ftps(tmp_path, masquerade_address="192.0.2.7") as site, RawFtp(site).login() as client:
        assert "(192,0,2,7," in client.ask("PASV")
        assert "(|||" in client.ask("EPSV")


def test_a_second_transfer_waits_for_the_first(site: FtpsSite) -> None:
    """One data connection carries one transfer."""
    with RawFtp(site).login() as client:
        data = client.start_upload("STOR /a")
        assert client.ask("STOR /b").startswith("450 ")
        assert client.ask("LIST").startswith("450 ")
        data.sendall(b"x")
        data.unwrap()

        assert client.reply().startswith("226 ")
        assert site.names() == ["a"]
