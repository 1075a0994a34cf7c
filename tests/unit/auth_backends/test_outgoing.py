"""The guarded fetcher: which addresses it goes to, and that time and bytes have an end. Servers are real sockets."""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from auth_backends.outgoing import Fetcher, FetchFailed, forbidden_address, is_this_machine

Answer = Callable[[socket.socket, bytes], None]
PUBLIC = "93.184.216.34"


class RawServer:
    """Answers each connection by one function, over TLS if it is given a context; remembers the requests."""

    def __init__(self, answer: Answer, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self._answer = answer
        self._context = context
        self.requests: list[bytes] = []
        self.connections = 0
        self.names: list[str | None] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http{'s' if self._context else ''}://127.0.0.1:{self.port}/document"

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        try:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            request = _request(connection)
            self.requests.append(request)
            self._answer(connection, request)
        except OSError:
            pass  # the client went away, which is what many of these tests want of it
        finally:
            connection.close()


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answering(body: bytes = b"{}", status: str = "200 OK", headers: str = "") -> Answer:
    def answer(connection: socket.socket, _: bytes) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nX-One: Two\r\n{headers}\r\n"
        connection.sendall(head.encode() + body)

    return answer


@pytest.fixture
def serve() -> Iterator[Callable[..., RawServer]]:
    servers: list[RawServer] = []

    def start(answer: Answer, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> RawServer:
        servers.append(RawServer(answer, context, host))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Certificates for idp.example and 127.0.0.1, one of them not ours, and one with a common name alone; with keys."""
    folder = tmp_path_factory.mktemp("certificates")
    found = {name: _certificate(folder / f"{name}.pem") for name in ("ours", "others")}
    return {**found, "nameless": _certificate(folder / "nameless.pem", has_names=False)}


def _certificate(path: Path, *, has_names: bool = True) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "common.example")])
    begins = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    names = x509.SubjectAlternativeName([x509.DNSName("idp.example"), x509.IPAddress(ip_address("127.0.0.1"))])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + dt.timedelta(days=10))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    if has_names:
        builder = builder.add_extension(names, critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


def server_context(pem: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def at(*addresses: str) -> Callable[[str, int], Sequence[str]]:
    return lambda _host, _port: addresses


# What comes back -------------------------------------------------------------------------------------


def test_a_document_comes_back_with_its_headers(serve: Callable[..., RawServer]) -> None:
    """Body, status and headers by their lower-case names; the request says what it accepts and who asks."""
    server = serve(answering(b'{"a": 1}'))

    fetched = Fetcher(allow_private_hosts=True).get(server.url, max_bytes=100, accept="application/xml")

    assert (fetched.status, fetched.body, fetched.headers["x-one"], fetched.url) == (
        200,
        b'{"a": 1}',
        "Two",
        server.url,
    )
    request = server.requests[0].lower()
    assert request.startswith(b"get /document http/1.1")
    for line in (b"accept: application/xml", b"accept-encoding: identity", b"user-agent: quaymaster"):
        assert line in request


def test_a_form_is_posted_and_an_error_is_an_answer(serve: Callable[..., RawServer]) -> None:
    """A token endpoint says why it refuses with status 400; that body is given to the caller."""
    server = serve(answering(b'{"error":"invalid_grant"}', status="400 Bad Request"))

    fetched = Fetcher(allow_private_hosts=True).post_form(
        server.url, {"code": "a&b=c"}, headers={"authorization": "Basic eA=="}, max_bytes=1000
    )

    assert (fetched.status, fetched.body) == (400, b'{"error":"invalid_grant"}')
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert body == b"code=a%26b%3Dc"
    assert b"authorization: basic ea==" in head.lower()
    assert b"content-type: application/x-www-form-urlencoded" in head.lower()


def test_a_document_is_posted_as_json(serve: Callable[..., RawServer]) -> None:
    """JSON goes out as JSON, with its content type."""
    server = serve(answering())

    Fetcher(allow_private_hosts=True).post_json(server.url, {"a": [True]}, headers=None, max_bytes=1000)

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert json.loads(body) == {"a": [True]}
    assert b"content-type: application/json" in head.lower()


def test_a_document_must_come_with_status_200(serve: Callable[..., RawServer]) -> None:
    """A page that says "not found" is no document."""
    server = serve(answering(b"{}", status="404 Not Found"))

    with pytest.raises(FetchFailed, match="answered 404"):
        Fetcher(allow_private_hosts=True).get(server.url, max_bytes=100)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_no_redirect_is_followed(serve: Callable[..., RawServer], status: str) -> None:
    """Not for a document and not for a form: the second server hears nothing."""
    target = serve(answering())
    server = serve(answering(status=status, headers=f"Location: {target.url}\r\n"))
    fetcher = Fetcher(allow_private_hosts=True)

    with pytest.raises(FetchFailed, match="redirects are not followed"):
        fetcher.get(server.url, max_bytes=100)
    with pytest.raises(FetchFailed, match="redirects are not followed"):
        fetcher.post_form(server.url, {}, max_bytes=100)

    assert (len(server.requests), target.connections) == (2, 0)


# Bytes and seconds -----------------------------------------------------------------------------------


def test_an_answer_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(serve: Callable[..., RawServer]) -> None:
    """The limit is on the bytes of the body."""
    server = serve(answering(b"x" * 1000))
    fetcher = Fetcher(allow_private_hosts=True)

    assert len(fetcher.get(server.url, max_bytes=1000).body) == 1000
    with pytest.raises(FetchFailed, match="more than 999 bytes"):
        fetcher.get(server.url, max_bytes=999)


def test_an_endless_answer_is_broken_off(serve: Callable[..., RawServer]) -> None:
    """A chunked answer without an end is read up to the limit only."""
    sent: list[int] = []
    gone = threading.Event()

    def endless(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                sent.append(4096)
        finally:
            gone.set()

    server = serve(endless)

    with pytest.raises(FetchFailed, match="more than 100000 bytes"):
        Fetcher(allow_private_hosts=True, timeout_s=30).get(server.url, max_bytes=100_000)

    assert gone.wait(10), "the connection was left open"


def test_a_compressed_answer_is_refused(serve: Callable[..., RawServer]) -> None:
    """A few bytes could become very many; nobody asked for compression."""
    server = serve(answering(b"\x1f\x8b", headers="Content-Encoding: gzip\r\n"))

    with pytest.raises(FetchFailed, match="compressed"):
        Fetcher(allow_private_hosts=True).get(server.url, max_bytes=100)


def drip_body(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    _drip(connection, b"x")


def drip_headers(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    _drip(connection, b"X-A: b\r\n")


def silent(connection: socket.socket, _: bytes) -> None:
    connection.recv(1)  # until the client goes


def _drip(connection: socket.socket, piece: bytes) -> None:
    while True:
        connection.sendall(piece)
        time.sleep(0.05)  # the pace of the one who drips


@pytest.mark.parametrize("answer", [drip_body, drip_headers, silent])
def test_the_deadline_is_for_the_whole_request(serve: Callable[..., RawServer], answer: Answer) -> None:
    """A server that sends a byte now and then holds nobody longer than one that is silent."""
    server = serve(answer)
    began = time.monotonic()

    with pytest.raises(FetchFailed, match=r"did not answer within 0\.5 s"):
        Fetcher(allow_private_hosts=True, timeout_s=0.5).get(server.url, max_bytes=1_000_000)

    assert 0.4 < time.monotonic() - began < 5


def test_a_silent_handshake_ends_too(certificates: dict[str, Path]) -> None:
    """Whoever takes the connection and never speaks TLS is waited for until the deadline."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        fetcher = Fetcher(allow_private_hosts=True, timeout_s=0.5, ca_file=certificates["ours"])

        with pytest.raises(FetchFailed, match=r"did not answer within 0\.5 s"):
            fetcher.get(f"https://127.0.0.1:{port}/", max_bytes=10)


@pytest.fixture
def deaf() -> Iterator[Callable[[int], None]]:
    """Makes 127.0.0.2 swallow connections to a port: its queue is full, so that the system answers nobody any more."""
    sockets: list[socket.socket] = []

    def make(port: int) -> None:
        sockets.append(socket.create_server(("127.0.0.2", port), backlog=0))
        for _ in range(4):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.2", port))
            sockets.append(waiting)

    yield make
    for one in sockets:
        one.close()


def test_an_address_that_swallows_connections_leaves_time_for_the_next(
    serve: Callable[..., RawServer], certificates: dict[str, Path], deaf: Callable[[int], None]
) -> None:
    """Each address has its share of the time; if no other is left, the deadline holds."""
    server = serve(answering(b"yes"), server_context(certificates["ours"]))
    deaf(server.port)
    url = f"https://idp.example:{server.port}/"

    def fetcher(timeout_s: float, *addresses: str) -> Fetcher:
        lookup = at(*addresses)
        ours = certificates["ours"]
        return Fetcher(allow_private_hosts=True, ca_file=ours, lookup=lookup, timeout_s=timeout_s)

    began = time.monotonic()
    assert fetcher(4, "127.0.0.2", "127.0.0.1").get(url, max_bytes=10).body == b"yes"
    with pytest.raises(FetchFailed, match=r"did not answer within 0\.5 s"):
        fetcher(0.5, "127.0.0.2").get(url, max_bytes=10)
    assert 2 < time.monotonic() - began < 6


def test_slow_dns_ends_too() -> None:
    """The system's look-up knows no timeout; ours does."""
    stop = threading.Event()

    def slow(_host: str, _port: int) -> Sequence[str]:
        stop.wait(30)
        return (PUBLIC,)

    try:
        with pytest.raises(FetchFailed, match=r"did not answer within 0\.3 s"):
            Fetcher(timeout_s=0.3, lookup=slow).get("https://idp.example/", max_bytes=10)
    finally:
        stop.set()


def test_whoever_speaks_no_http_is_told_so(serve: Callable[..., RawServer]) -> None:
    """An SSH server behind the address is a sentence for the admin."""
    server = serve(lambda connection, _: connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"))

    with pytest.raises(FetchFailed, match="does not speak HTTP"):
        Fetcher(allow_private_hosts=True).get(server.url, max_bytes=10)


def test_a_closed_port_is_a_sentence() -> None:
    """Connection refused names the host."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(FetchFailed, match=r"no connection to 127\.0\.0\.1"):
        Fetcher(allow_private_hosts=True).get(f"http://127.0.0.1:{port}/", max_bytes=10)


# Where it goes ---------------------------------------------------------------------------------------


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


# TLS -------------------------------------------------------------------------------------------------


def test_a_certificate_of_an_unknown_authority_is_refused(
    serve: Callable[..., RawServer], certificates: dict[str, Path]
) -> None:
    """With the system's authorities and with those of another file; the request is never sent."""
    server = serve(answering(), server_context(certificates["ours"]))

    for ca_file in (None, certificates["others"]):
        with pytest.raises(FetchFailed, match=r"the certificate of 127\.0\.0\.1 is not accepted"):
            Fetcher(allow_private_hosts=True, ca_file=ca_file).get(server.url, max_bytes=10)

    assert server.requests == []


@pytest.mark.parametrize(
    ("certificate", "host"),
    [("ours", "other.example"), ("ours", "common.example"), ("nameless", "common.example")],
)
def test_a_certificate_for_another_name_is_refused(
    serve: Callable[..., RawServer], certificates: dict[str, Path], certificate: str, host: str
) -> None:
    """The common name is no name (RFC 9525), not even where there is no other."""
    server = serve(answering(), server_context(certificates[certificate]))
    fetcher = Fetcher(allow_private_hosts=True, ca_file=certificates[certificate], lookup=at("127.0.0.1"))

    with pytest.raises(FetchFailed, match="is not accepted"):
        fetcher.get(f"https://{host}:{server.port}/", max_bytes=10)

    assert server.requests == []


def test_a_server_that_speaks_no_tls_is_a_sentence(
    serve: Callable[..., RawServer], certificates: dict[str, Path]
) -> None:
    """TLS to a port that speaks plain text."""

    def plain(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                plain(connection)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(FetchFailed, match=r"TLS with 127\.0\.0\.1 failed"):
            Fetcher(allow_private_hosts=True, ca_file=certificates["ours"]).get(
                f"https://127.0.0.1:{port}/", max_bytes=9
            )
        thread.join(10)


def test_a_ca_file_that_cannot_be_used_is_told_at_once(tmp_path: Path) -> None:
    """Before any request, with the file's name."""
    (tmp_path / "empty.pem").write_text("nothing")

    with pytest.raises(FetchFailed, match=r"empty\.pem holds no certificate"):
        Fetcher(ca_file=tmp_path / "empty.pem")
    with pytest.raises(FetchFailed, match=r"absent\.pem cannot be read"):
        Fetcher(ca_file=tmp_path / "absent.pem")


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


# Many ------------------------------------------------------------------------------------------------


def test_threads_share_a_fetcher_and_nothing_stays_open(serve: Callable[..., RawServer]) -> None:
    """Twenty threads get their answers, and afterwards no descriptor is left."""
    server = serve(answering(b"yes"))
    fetcher = Fetcher(allow_private_hosts=True)
    fetcher.get(server.url, max_bytes=10)
    before = open_descriptors()
    bodies: list[bytes] = []

    threads = [
        threading.Thread(target=lambda: bodies.append(fetcher.get(server.url, max_bytes=10).body)) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert bodies == [b"yes"] * 20
    deadline = time.monotonic() + 10
    while open_descriptors() > before and time.monotonic() < deadline:
        time.sleep(0.01)  # the server's side closes in its own time
    assert open_descriptors() <= before


def test_which_hosts_are_this_machine() -> None:
    """The name localhost and loopback addresses, and no name that only looks so."""
    assert [
        host for host in ("localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1") if not is_this_machine(host)
    ] == []
    assert [
        host for host in ("127.0.0.1.evil.example", "localhost.example", "10.0.0.1", "") if is_this_machine(host)
    ] == []
