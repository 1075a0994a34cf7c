"""Requests of ours to servers that a setting or a document names: metadata, discovery, keys, tokens.

An address in a document must not become a way into the network that this server stands in (server-side request
forgery). So a host is resolved once, each of its addresses is looked at, and the connection goes to an address that was
looked at; nobody's redirect is followed, no proxy of the environment is used, and time and bytes have an end.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

import httpcore
import httpx

MAX_URL = 2048
MAX_ADDRESSES = 4
_PORTS = range(1, 65536)
_OK = 200
_REDIRECTS = range(300, 400)
_NEVER = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "168.63.129.16/32",  # Azure's own services inside each virtual machine, behind a public address
        "169.254.0.0/16",  # link-local, and with it the metadata services of the clouds
        "192.0.0.0/24",
        "224.0.0.0/3",
        "::/128",
        "fd00:ec2::/32",  # metadata of Amazon, behind a private address
        "fe80::/10",
        "ff00::/8",
    )
)
_NOT_PUBLIC = tuple(
    ip_network(text)
    for text in (
        "192.88.99.0/24",
        "64:ff9b::/96",  # these four carry an IPv4 address, which nobody looks at on the way
        "64:ff9b:1::/48",
        "2001::/32",
        "2002::/16",
        "fec0::/10",
    )
)

Lookup = Callable[[str, int], Sequence[str]]


class FetchFailed(Exception):
    """Nothing came of a request. ``reason`` is a sentence for an admin; it holds no secret."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer. The names of ``headers`` are in lower case."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str]
    url: str


def look_up(host: str, port: int) -> Sequence[str]:
    """Ask the system for a host's addresses. Raises OSError."""
    return [str(place[0]) for *_, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class Fetcher:
    """Blocking and thread-safe; each request has a connection of its own. Every failure raises FetchFailed.

    ``timeout_s`` is for the whole of one request, also against a server that sends a byte now and then.
    ``allow_private_hosts`` permits addresses of the own network, and http to this machine; link-local addresses stay
    forbidden. ``ca_file`` (PEM) takes the place of the system's authorities; FetchFailed if it cannot be read.
    """

    def __init__(
        self,
        *,
        allow_private_hosts: bool = False,
        timeout_s: float = 10.0,
        ca_file: Path | None = None,
        lookup: Lookup = look_up,
    ) -> None:
        self._private = allow_private_hosts
        self._timeout_s = timeout_s
        self._context = _context(ca_file)
        self._lookup = lookup

    def get(self, url: str, *, max_bytes: int, accept: str = "application/json") -> Fetched:
        """Fetch a document of at most so many bytes; any status but 200 is a failure."""
        fetched = self._send(httpx.Request("GET", self._address(url), headers={"accept": accept}), max_bytes)
        if fetched.status != _OK:
            raise FetchFailed(f"{httpx.URL(url).host} answered {fetched.status} where a document should be ({url})")
        return fetched

    def post_form(
        self, url: str, fields: Mapping[str, str], *, headers: Mapping[str, str] | None = None, max_bytes: int
    ) -> Fetched:
        """Post a form and give the answer, whatever its status."""
        return self._send(httpx.Request("POST", self._address(url), headers=_json(headers), data=fields), max_bytes)

    def post_json(self, url: str, document: object, *, headers: Mapping[str, str] | None, max_bytes: int) -> Fetched:
        """Post a document as JSON and give the answer, whatever its status."""
        return self._send(httpx.Request("POST", self._address(url), headers=_json(headers), json=document), max_bytes)

    def _address(self, url: str) -> httpx.URL:
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, UnicodeError):
            raise FetchFailed(f"{url[:MAX_URL]!r} is no address") from None
        is_plain = not (parsed.userinfo or parsed.fragment or "\\" in url)
        if len(url) > MAX_URL or not parsed.host or not is_plain or (parsed.port or 443) not in _PORTS:
            raise FetchFailed(f"{url[:MAX_URL]!r} is no address that is fetched from")
        if parsed.scheme == "https" or (parsed.scheme == "http" and self._private and is_this_machine(parsed.host)):
            return parsed
        raise FetchFailed(f"{url!r} must begin with https://")

    def _send(self, request: httpx.Request, max_bytes: int) -> Fetched:
        request.headers["user-agent"] = "quaymaster"
        request.headers["accept-encoding"] = "identity"
        network = _CheckedNetwork(self._lookup, time.monotonic() + self._timeout_s, private=self._private)
        host = request.url.host
        try:
            with httpcore.ConnectionPool(ssl_context=self._context, network_backend=network) as connections:
                return _answer(connections, request, max_bytes)
        except (httpcore.TimeoutException, TimeoutError):
            raise FetchFailed(f"{host} did not answer within {self._timeout_s:g} s") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise FetchFailed(_in_words(error, host)) from None


def is_this_machine(host: str) -> bool:
    """Whether a host is named as this machine: localhost or a loopback address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def forbidden_address(text: str, *, private: bool) -> bool:
    """Whether no connection is made to this address, by IANA's registries; ``private`` permits the own network."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
        if not private:
            return True
    if any(_within(address, network) for network in _NEVER):
        return True
    return not private and (not address.is_global or any(_within(address, network) for network in _NOT_PUBLIC))


def _within(address: IPv4Address | IPv6Address, network: IPv4Network | IPv6Network) -> bool:
    return address in network  # an address of the other version is never inside


class _CheckedNetwork(httpcore.NetworkBackend):
    """Connects to addresses that were looked at, by a moment of the monotonic clock."""

    def __init__(self, lookup: Lookup, deadline: float, *, private: bool) -> None:
        self._lookup = lookup
        self._deadline = deadline
        self._private = private
        self._system = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the deadline is for the whole request
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers."""
        addresses = self._resolved(host, port)
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            share = left_until(self._deadline) / left
            try:
                stream = self._system.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if left == 1:
                    raise
            else:
                return _TimedStream(stream, self._deadline)
        raise AssertionError  # pragma: no cover - there is at least one address

    def _resolved(self, host: str, port: int) -> Sequence[str]:
        found: Future[Sequence[str]] = Future()

        def ask() -> None:  # getaddrinfo knows no timeout
            try:
                found.set_result(list(dict.fromkeys(self._lookup(host, port))))
            except BaseException as error:  # noqa: BLE001 - it belongs to the one who waits
                found.set_exception(error)

        threading.Thread(target=ask, name="dns", daemon=True).start()
        try:
            addresses = found.result(timeout=left_until(self._deadline))
        except FutureTimeout:
            raise
        except (OSError, UnicodeError):
            raise FetchFailed(f"DNS has no address for {host}") from None
        if not addresses:
            raise FetchFailed(f"DNS has no address for {host}")
        for address in addresses:
            if forbidden_address(address, private=self._private):
                raise FetchFailed(f"{host} has the address {address}, which is not on the public internet")
            if is_this_machine(host) and not ip_address(address).is_loopback:
                raise FetchFailed(f"{host} has the address {address}, which is not this machine")
        return addresses[:MAX_ADDRESSES]


class _TimedStream(httpcore.NetworkStream):
    """A connection on which every wait ends with the request's deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - as above
        return self._stream.read(max_bytes, left_until(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - as above
        self._stream.write(buffer, left_until(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - as above
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, left_until(self._deadline))
        return _TimedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def left_until(deadline: float) -> float:
    """Give the seconds until a moment of the monotonic clock. Raises TimeoutError when it has passed."""
    if (left := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return left


def _answer(connections: httpcore.ConnectionPool, request: httpx.Request, max_bytes: int) -> Fetched:
    address = httpcore.URL(
        scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path
    )
    sent = httpcore.Request(request.method, address, headers=request.headers.raw, content=request.read())
    response = connections.handle_request(sent)
    try:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        host = request.url.host
        if response.status in _REDIRECTS:
            raise FetchFailed(f"{host} answered {response.status}: redirects are not followed")
        if headers.get("content-encoding", "identity") != "identity":
            raise FetchFailed(f"{host} compressed its answer although it was asked not to")
        body = b"".join(_bounded(response.iter_stream(), max_bytes, host))
        return Fetched(response.status, body, headers, str(request.url))
    finally:
        response.close()


def _bounded(parts: Iterator[bytes], max_bytes: int, host: str) -> Iterator[bytes]:
    size = 0
    for part in parts:
        size += len(part)
        if size > max_bytes:
            raise FetchFailed(f"the answer of {host} has more than {max_bytes} bytes")
        yield part


def _json(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {"accept": "application/json", **(headers or {})}


def _context(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # requires a certificate, for the name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False  # RFC 9525 section 2: the common name is no name
    if ca_file is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return context
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # whom the admin names is trusted, a subordinate, too
    try:
        context.load_verify_locations(cafile=str(ca_file))
    except ssl.SSLError:
        raise FetchFailed(f"ca_file {ca_file} holds no certificate that can be read") from None
    except OSError as error:
        raise FetchFailed(f"ca_file {ca_file} cannot be read: {error.strerror}") from None
    return context


def _in_words(error: Exception, host: str) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate of {host} is not accepted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS with {host} failed: {cause.reason or 'no reason given'}"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpcore.ConnectError):
        return f"no connection to {host}: {error}"
    return f"{host} broke off or does not speak HTTP: {type(error).__name__}"
