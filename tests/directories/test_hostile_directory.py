"""The directory server that misbehaves does what each of its modes says."""

from __future__ import annotations

import select
import socket
import ssl
import uuid
from collections.abc import Iterator

import pytest

from tests.support.directories import ldap_wire as wire
from tests.support.directories.certificates import Authority
from tests.support.directories.hostile import Blackhole, HostileLdap, Misbehaviour, Operation, Trap
from tests.support.directories.raw_ldap import RawLdap
from tests.support.waiting import eventually

pytestmark = pytest.mark.system

BASE = "dc=lab,dc=test"
SERVICE = f"cn=service,{BASE}"
ALICE = f"uid=alice,{BASE}"
ENTRIES: dict[str, wire.Attributes] = {
    ALICE: {"uid": [b"alice"], "entryUUID": [b"11111111-1111-1111-1111-111111111111"], "cn": [b"Alice"]},
    f"uid=bob,{BASE}": {"uid": [b"bob"], "entryUUID": [b"22222222-2222-2222-2222-222222222222"]},
}
MANY = {f"cn=many,{BASE}": {"member": [str(number).encode() for number in range(7)]}}
NOTICE = wire.NOTICE_OF_DISCONNECTION.encode()


class Client(RawLdap):
    """A client of a hostile server, over LDAPS when it is told whom to trust."""

    def search(self, uid: str, *attributes: str, pages: bool = False) -> None:
        equality = wire.encoded(0xA3, wire.text("uid"), wire.text(uid))
        wanted = wire.encoded(0x87, b"objectClass") if uid == "*" else equality
        numbers = (wire.integer(2, 0x0A), wire.integer(0, 0x0A), wire.integer(0), wire.integer(0))
        listed = wire.encoded(0x30, *map(wire.text, attributes))
        operation = wire.encoded(wire.SEARCH, wire.text(BASE), *numbers, b"\x01\x01\x00", wanted, listed)
        self.send(operation, {wire.PAGED_RESULTS: wire.paged_value(b"")} if pages else None)

    def found(self, uid: str, *attributes: str, pages: bool = False) -> tuple[int, dict[str, wire.Attributes], bytes]:
        """Give a search's result code, its entries, and its cookie."""
        self.search(uid, *attributes, pages=pages)
        entries: dict[str, wire.Attributes] = {}
        while (answer := self.receive()).operation != 0x65:
            if answer.operation == 0x64:
                (_, dn), (_, listed) = wire.parts(answer.body)
                entries[dn.decode()] = dict(map(_attribute, wire.parts(listed)))
        page = answer.controls.get(wire.PAGED_RESULTS)
        cookie = wire.parts(wire.parts(page)[0][1])[1][1] if page else b""
        return wire.parts(answer.body)[0][1][0], entries, cookie

    def is_quiet(self, within_s: float = 0.2) -> bool:
        return not select.select([self.socket], [], [], within_s)[0]


def _attribute(element: tuple[int, bytes]) -> tuple[str, list[bytes]]:
    (_, name), (_, values) = wire.parts(element[1])
    return name.decode(), [value for _, value in wire.parts(values)]


@pytest.fixture
def hostile() -> Iterator[HostileLdap]:
    with HostileLdap(service_dn=SERVICE, entries=ENTRIES, passwords={ALICE: "right"}, drip_s=0.02) as server:
        yield server


@pytest.fixture
def client(hostile: HostileLdap) -> Iterator[Client]:
    with Client(hostile.ip, hostile.port) as connection:
        yield connection


def test_good_manners(hostile: HostileLdap, client: Client) -> None:
    """Without a misbehaviour it checks passwords, finds entries, and records what it gets."""
    codes = [client.bind(dn, secret)[0] for dn, secret in ((ALICE, "wrong"), (ALICE, ""), (ALICE, "right"), ("", ""))]
    code, entries, _ = client.found("ALICE", "cn")

    assert codes == [49, 49, 0, 0]
    assert (code, entries) == (0, {ALICE: {"cn": [b"Alice"]}})
    assert client.found("nobody")[1] == {}
    assert len(client.found("*")[1]) == 2
    assert client.bind(SERVICE, "anything")[0] == 0
    assert hostile.binds == [ALICE, ALICE, ALICE, "", SERVICE]
    assert (hostile.connections, hostile.received[0].count(b"right")) == (1, 1)


def test_ranges() -> None:
    """Long attributes come in ranges, as from Active Directory."""
    with HostileLdap(entries=MANY, max_values=3) as server, Client(server.ip, server.port) as other:
        answers = [other.found("*", name)[1] for name in ("member", "member;range=3-*", "member;range=6-*")]

    sizes = [{name: len(values) for name, values in found[f"cn=many,{BASE}"].items()} for found in answers]
    assert sizes == [{"member": 0, "member;range=0-2": 3}, {"member;range=3-5": 3}, {"member;range=6-*": 1}]


def test_the_service_account_is_undisturbed(hostile: HostileLdap, client: Client) -> None:
    """A misbehaviour of binds spares the service account and its searches; one at searches spares binds."""
    hostile.mode = Misbehaviour.SILENT
    assert client.bind(SERVICE, "anything")[0] == 0
    assert len(client.found("alice")[1]) == 1
    hostile.at = Operation.SEARCH
    assert client.bind(ALICE, "right")[0] == 0
    client.search("alice")
    assert client.is_quiet()


def test_silent(hostile: HostileLdap, client: Client) -> None:
    """It reads a bind and never answers."""
    hostile.mode = Misbehaviour.SILENT
    client.send(wire.encoded(wire.BIND, wire.integer(3), wire.text(ALICE), wire.text("right", 0x80)))

    eventually(lambda: b"right" in b"".join(hostile.received), what="the bind")
    assert client.is_quiet()


def test_silent_before_tls(authority: Authority) -> None:
    """It accepts TCP and says nothing to a TLS hello; the first connections may be spared."""
    certificate = authority.issue("hostile")
    with HostileLdap(Misbehaviour.SILENT_BEFORE_TLS, tls=certificate, healthy_first=1) as server:
        with Client(server.ip, server.port, ca_file=authority.ca_file) as spared:
            assert spared.bind("", "")[0] == 0
        with pytest.raises(TimeoutError):
            Client(server.ip, server.port, ca_file=authority.ca_file, timeout_s=0.3)


def test_drip(hostile: HostileLdap, client: Client) -> None:
    """The answer comes byte by byte."""
    hostile.mode = Misbehaviour.DRIP
    client.send(wire.encoded(wire.BIND, wire.integer(3), wire.text(ALICE), wire.text("x", 0x80)))
    chunks = []
    while len(b"".join(chunks)) < 14:
        chunks.append(client.socket.recv(100))

    assert len(chunks) > 2
    assert wire.request(bytearray(b"".join(chunks))).operation == 0x61


@pytest.mark.parametrize(
    ("mode", "ending", "at"),
    [
        (Misbehaviour.RESET_MID_BIND, "reset by peer", Operation.BIND),
        (Misbehaviour.TRUNCATED_BER, r"ended after b'0.+'", Operation.BIND),
        (Misbehaviour.RESET_MID_BIND, "reset by peer", Operation.SEARCH),
        (Misbehaviour.TRUNCATED_BER, r"ended after b'0.+'", Operation.SEARCH),
    ],
)
def test_broken_off(hostile: HostileLdap, client: Client, mode: Misbehaviour, ending: str, at: Operation) -> None:
    """The connection ends with a reset, or in the middle of an answer, when there is an answer due."""
    hostile.mode, hostile.at = mode, at

    with pytest.raises(ConnectionError, match=ending):
        _ = client.bind(ALICE, "right") if at is Operation.BIND else client.found("alice")


def test_other_answers(hostile: HostileLdap, client: Client) -> None:
    """Answers that are no BER, to another request, a result code with a text, a referral, a success for all."""
    hostile.mode = Misbehaviour.WRONG_MESSAGE_ID
    client.send(wire.encoded(wire.BIND, wire.integer(3), wire.text(ALICE), wire.text("x", 0x80)))
    stray = client.receive()
    hostile.mode, hostile.code, hostile.diagnostic = Misbehaviour.RESULT_CODE, 51, "busy"
    busy = client.bind(ALICE, "right")
    hostile.mode = Misbehaviour.BIND_SUCCESS_ALWAYS
    anyone = client.bind("cn=nobody", "")[0]
    with Trap() as trap:
        hostile.mode, hostile.trap_url = Misbehaviour.REFERRAL_ON_BIND, trap.url
        client.send(wire.encoded(wire.BIND, wire.integer(3), wire.text(ALICE), wire.text("x", 0x80)))
        referral = client.receive().body
        hostile.mode = Misbehaviour.REFERRAL_ON_SEARCH
        search = client.found("alice")
        url = trap.url.encode()
    hostile.mode = Misbehaviour.GARBAGE
    client.send(wire.encoded(wire.BIND, wire.integer(3), wire.text(ALICE), wire.text("x", 0x80)))

    assert (stray.message_id, stray.operation) == (1001, 0x61)
    assert (busy, anyone) == ((51, "busy"), 0)
    assert (wire.parts(referral)[0][1], url in referral) == (b"\x0a", True)
    assert search[0] == 10
    assert client.socket.recv(2) == b"\xff\xfe"


def test_disconnect_notice(hostile: HostileLdap, client: Client) -> None:
    """Instead of an answer comes a Notice of Disconnection, and then the end."""
    hostile.mode = Misbehaviour.DISCONNECT_NOTICE
    client.send(wire.encoded(wire.BIND, wire.integer(3), wire.text(ALICE), wire.text("x", 0x80)))
    notice = client.receive()

    assert (notice.message_id, notice.operation, NOTICE in notice.body) == (0, 0x78, True)
    with pytest.raises(ConnectionError):
        client.receive()


def test_starttls(authority: Authority) -> None:
    """StartTLS works, is refused, or is a lie after which everything stays in plain text."""
    with HostileLdap(starttls=authority.issue("hostile")) as server:
        with Client(server.ip, server.port) as client:
            assert client.start_tls(authority.ca_file) == 0
            assert client.bind("", "secret")[0] == 49
        server.mode = Misbehaviour.REFUSE_STARTTLS
        with Client(server.ip, server.port) as client:
            assert client.start_tls(authority.ca_file) == 2
        server.mode = Misbehaviour.STRIP_STARTTLS
        with Client(server.ip, server.port, timeout_s=1.0) as client, pytest.raises(TimeoutError):
            client.start_tls(authority.ca_file)
        server.mode = Misbehaviour.INJECT_AFTER_STARTTLS
        with Client(server.ip, server.port) as client:
            assert client.start_tls(authority.ca_file) == 0
            assert client.receive().operation == 0x61
            assert client.bind(ALICE, "x")[0] == 49
        assert [b"secret" in record for record in server.received] == [True, False, False, False]
        assert b"\x16\x03\x01" in server.received[2]


def test_searches_that_never_end(hostile: HostileLdap) -> None:
    """An entry of 2 GiB, entries and pages without end; the server stops nevertheless."""
    hostile.mode = Misbehaviour.OVERSIZED_ENTRY
    with Client(hostile.ip, hostile.port) as client:
        client.search("alice")
        start = client.socket.recv(6)
        size = sum(len(client.socket.recv(1 << 20)) for _ in range(100))
    hostile.mode = Misbehaviour.ENDLESS_ENTRIES
    with Client(hostile.ip, hostile.port) as client:
        client.search("alice")
        answers = {client.receive().operation for _ in range(1000)}
    hostile.mode = Misbehaviour.ENDLESS_PAGES
    with Client(hostile.ip, hostile.port) as client:
        pages = [client.found("*", pages=True) for _ in range(3)]

    assert start[:2] == b"\x30\x84"
    assert int.from_bytes(start[2:], "big") > 0x7FFF_FFFF
    assert size > 1 << 20
    assert answers == {0x64}
    assert len({cookie for _, _, cookie in pages}) == 3
    assert all(len(entries) == 2 for _, entries, _ in pages)


def test_false_entries(hostile: HostileLdap, client: Client) -> None:
    """A foreign entry, twins, another id, half of what there is; and binds succeed."""
    own = ENTRIES[ALICE]["entryUUID"]
    hostile.mode = Misbehaviour.FOREIGN_ENTRY
    foreign = client.found("alice")[1]
    hostile.mode = Misbehaviour.TWO_ENTRIES
    twins = client.found("alice")[1]
    hostile.mode = Misbehaviour.WRONG_ID
    other = client.found("alice")[1][ALICE]["entryUUID"]
    bound = client.bind(ALICE, "wrong")[0]
    hostile.mode, hostile.code = Misbehaviour.PARTIAL_RESULTS, 4
    partial = client.found("*")

    assert not any(dn.endswith(BASE) for dn in foreign)
    assert (len(foreign), len(twins), bound) == (1, 2, 0)
    assert len({tuple(attributes["entryUUID"]) for attributes in twins.values()}) == 2
    assert other != own
    assert uuid.UUID(other[0].decode())
    assert (partial[0], len(partial[1])) == (4, 1)


def test_ldaps(authority: Authority) -> None:
    """Over LDAPS it does the same, and records what was said inside."""
    with HostileLdap(Misbehaviour.RESET_MID_BIND, tls=authority.issue("hostile")) as server:
        client = Client(server.ip, server.port, ca_file=authority.ca_file)
        with pytest.raises(OSError, match=r"reset|EOF|ended"):
            client.bind(ALICE, "secret")
        client.socket.close()

        assert b"secret" in server.received[0]
        with pytest.raises(ssl.SSLCertVerificationError):
            Client(server.ip, server.port, ca_file=authority.ca_file, name="other.test")


def test_stop(authority: Authority) -> None:
    """Stopping ends connections that wait, in TLS, too, and refuses new ones."""
    server = HostileLdap(Misbehaviour.SILENT, tls=authority.issue("hostile"))
    waiting = Client(server.ip, server.port, ca_file=authority.ca_file)
    half_open = socket.create_connection((server.ip, server.port))
    eventually(lambda: server.connections == 2, what="both connections")
    server.stop()

    with waiting, pytest.raises(ConnectionError, match="ended"):
        waiting.receive()
    with half_open:
        assert half_open.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        Client(server.ip, server.port)


def test_trap() -> None:
    """A trap counts and records what comes."""
    with Trap() as trap:
        before = trap.connections
        with socket.create_connection((trap.ip, trap.port)) as visitor:
            visitor.sendall(b"password")
            eventually(lambda: trap.received == [b"password"], what="the record")

        assert (before, trap.connections) == (0, 1)


def test_blackhole() -> None:
    """A connection to a black hole neither succeeds nor fails."""
    with Blackhole() as hole, pytest.raises(TimeoutError):
        socket.create_connection((hole.host, hole.port), 0.3)
