"""Which addresses the guarded fetcher goes to, by their texts and by what DNS says."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from auth_backends.outgoing import Fetcher, FetchFailed, forbidden_address, is_this_machine
from tests.support.outgoing_servers import PUBLIC, RawServer, answering, at, server_context


@pytest.mark.parametrize(
    "url",
    [
        "http://idp.example/",
        "ftp://idp.example/",
        "file:///etc/passwd",
        "//idp.example/",
        "idp.example",
        "",
        "https://",
        "https:///path",
        "https://user:word@idp.example/",
        "https://idp.example/#part",
        "https://idp.example\\@evil.example/",
        "https://idp.example:99999/",
        "https://[::1/",
        "https://idp.example/" + "a" * 3000,
        "http://127.0.0.1/",
        "http://localhost/",
    ],
)
def test_what_is_no_https_address_is_not_asked(url: str) -> None:
    """Not even DNS is asked."""
    asked: list[str] = []

    def lookup(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return (PUBLIC,)

    with pytest.raises(FetchFailed):
        Fetcher(lookup=lookup).get(url, max_bytes=10)

    assert asked == []


@pytest.mark.parametrize("url", ["http://idp.example/", "http://10.0.0.1/", "http://127.1/", "http://localhost.evil/"])
def test_http_is_for_this_machine_alone(url: str) -> None:
    """Private hosts are reached by https; what only resembles loopback is not loopback."""
    with pytest.raises(FetchFailed, match="must begin with https://"):
        Fetcher(allow_private_hosts=True, lookup=at("127.0.0.1")).get(url, max_bytes=10)


NEVER_PUBLIC = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",  # noqa: S104
    "169.254.169.254", "168.63.129.16", "100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1", "192.88.99.1",
    "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:93.184.216.34", "64:ff9b::7f00:1", "64:ff9b:1::1",
    "2002:7f00:1::", "2001::1", "100::1",
]  # fmt: skip


@pytest.mark.parametrize("address", NEVER_PUBLIC)
def test_an_address_off_the_public_internet_is_refused(address: str) -> None:
    """Loopback, private, link-local, shared, metadata, multicast, reserved, and IPv4 in the dress of IPv6."""
    with pytest.raises(FetchFailed, match="not on the public internet"):
        Fetcher(lookup=at(address)).get("https://idp.example/", max_bytes=10)


@pytest.mark.parametrize("address", [PUBLIC, "20.190.128.1", "2603:1026:3000::1", "2a00:1450:4001:80b::200e"])
def test_a_public_address_is_allowed(address: str) -> None:
    """Entra ID and others live there."""
    assert not forbidden_address(address, private=False)


@pytest.mark.parametrize(
    ("address", "forbidden"),
    [
        ("127.0.0.1", False), ("10.1.2.3", False), ("192.168.1.1", False), ("fc00::1", False), ("::1", False),
        ("100.64.0.1", False), ("::ffff:10.0.0.1", False), (PUBLIC, False),
        ("169.254.169.254", True), ("168.63.129.16", True), ("fe80::1", True), ("fd00:ec2::254", True),
        ("::ffff:169.254.169.254", True), ("0.0.0.0", True), ("224.0.0.1", True), ("192.0.0.192", True),  # noqa: S104
    ],
)  # fmt: skip
def test_with_private_hosts_metadata_services_stay_forbidden(address: str, forbidden: bool) -> None:  # noqa: FBT001
    """The own network is permitted, the clouds' metadata services and link-local addresses never."""
    assert forbidden_address(address, private=True) is forbidden


def test_one_bad_address_among_good_ones_is_enough() -> None:
    """A name with a public and a private address is refused as a whole."""
    with pytest.raises(FetchFailed, match=r"10\.0\.0\.1"):
        Fetcher(lookup=at(PUBLIC, "10.0.0.1")).get("https://idp.example/", max_bytes=10)


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "127.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_loopback_in_any_spelling_is_refused(serve: Callable[..., RawServer], host: str) -> None:
    """What the system makes of a host counts, not how it is written."""
    server = serve(answering())

    with pytest.raises(FetchFailed):
        Fetcher().get(f"https://{host}:{server.port}/", max_bytes=10)

    assert server.connections == 0


def test_a_name_is_looked_up_once_and_the_connection_goes_there(
    serve: Callable[..., RawServer], certificates: dict[str, Path]
) -> None:
    """No second look-up, whose answer could be another (DNS rebinding); name and certificate stay the host's."""
    server = serve(answering(b"yes"), server_context(certificates["ours"]))
    asked: list[str] = []

    def lookup(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ("127.0.0.1",) if len(asked) == 1 else ("10.255.255.1",)

    fetcher = Fetcher(allow_private_hosts=True, ca_file=certificates["ours"], lookup=lookup)

    assert fetcher.get(f"https://idp.example:{server.port}/", max_bytes=10).body == b"yes"
    assert asked == ["idp.example"]
    assert f"host: idp.example:{server.port}".encode() in server.requests[0].lower()


def test_a_dead_address_is_passed_over(serve: Callable[..., RawServer], certificates: dict[str, Path]) -> None:
    """The next address of a name is tried where the first does not listen."""
    server = serve(answering(b"yes"), server_context(certificates["ours"]))
    fetcher = Fetcher(
        allow_private_hosts=True, ca_file=certificates["ours"], lookup=at("127.0.0.99", "127.0.0.1", "127.0.0.1")
    )

    assert fetcher.get(f"https://idp.example:{server.port}/", max_bytes=10).body == b"yes"


def test_localhost_elsewhere_is_refused() -> None:
    """HTTP is permitted to localhost since it is this machine; a resolver that says otherwise is not believed."""
    with pytest.raises(FetchFailed, match="is not this machine"):
        Fetcher(allow_private_hosts=True, lookup=at("10.0.0.1")).get("http://localhost:8080/", max_bytes=10)


@pytest.mark.parametrize("error", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")])
def test_a_name_without_an_address_is_a_sentence(error: Exception) -> None:
    """Unknown names, and names that are none, are told apart from servers that are away."""

    def fails(_host: str, _port: int) -> Sequence[str]:
        raise error

    with pytest.raises(FetchFailed, match="DNS has no address for idp"):
        Fetcher(lookup=fails).get("https://idp.example/", max_bytes=10)
    with pytest.raises(FetchFailed, match="DNS has no address for idp"):
        Fetcher(lookup=at()).get("https://idp.example/", max_bytes=10)


def test_no_proxy_of_the_environment_is_used(serve: Callable[..., RawServer], monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would resolve names anew, and see what only the provider may see."""
    proxy, server = serve(answering(b"proxy")), serve(answering(b"server"))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)

    assert Fetcher(allow_private_hosts=True).get(server.url, max_bytes=10).body == b"server"
    assert proxy.connections == 0


def test_which_hosts_are_this_machine() -> None:
    """The name localhost and loopback addresses, and no name that only looks so."""
    assert [
        host for host in ("localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1") if not is_this_machine(host)
    ] == []
    assert [
        host for host in ("127.0.0.1.evil.example", "localhost.example", "10.0.0.1", "") if is_this_machine(host)
    ] == []
