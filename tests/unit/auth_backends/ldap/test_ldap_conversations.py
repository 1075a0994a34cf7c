"""One connection, with a server that says exactly what the test says."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from auth_backends.api import Secret
from auth_backends.ldap import connection as connections
from auth_backends.ldap.connection import BindAnswer, LdapConnection, Scope
from auth_backends.ldap.deadline import Deadline
from auth_backends.ldap.errors import (
    AnswerMissing,
    AnswerUnusable,
    BindNotSent,
    DirectoryUnreachable,
    NotConnected,
    OutcomeUnknown,
    SearchRefused,
    TlsFailed,
)
from auth_backends.ldap.password_policy import OID
from auth_backends.ldap.transport import Transport
from tests.support.directories import ldap_wire as wire

BASE = "dc=lab,dc=test"
ENTRIES = [wire.search_entry(f"uid=u{number},{BASE}", {"uid": [f"u{number}".encode()]}) for number in range(4)]
DONE = wire.search_done()
INTERMEDIATE = wire.encoded(0x79)


class Encrypted(Transport):
    """Says of itself that it is, so that a bind is sent."""

    @property
    def is_encrypted(self) -> bool:
        return True


class Server:
    """The other end of a connection: answers are laid out before they are asked for."""

    def __init__(self, kind: type[Transport] = Encrypted) -> None:
        ours, self.socket = socket.socketpair()
        self.client = LdapConnection(kind(ours, "server:1"), ("server", 1), Deadline.after(5))

    def say(self, *operations: bytes, to: int = 1, controls: wire.Controls | None = None) -> None:
        """Answer the request of this number; the controls are the last operation's."""
        last = len(operations) - 1
        for place, operation in enumerate(operations):
            self.socket.sendall(wire.message(to, operation, controls if place == last else None))

    def said(self) -> bytes:
        """Give what the client has sent, when it has closed."""
        self.client.close()
        self.socket.settimeout(5)
        whole = b""
        while chunk := self.socket.recv(65536):
            whole += chunk
        return whole


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.client.close()
    made.socket.close()


# Binds -------------------------------------------------------------------------------------------


def test_a_bind(server: Server) -> None:
    """The answer's code and text, shortened and without control characters; the password only on the wire."""
    server.say(wire.bind_result(49, "line\nline" + "x" * 500))
    answer = server.client.bind("uid=u", Secret("s3cret"))

    assert answer == BindAnswer(49, "line line" + "x" * 111)
    assert b"s3cret" in server.said()


@pytest.mark.parametrize("want_policy", [True, False])
def test_the_policy_is_asked_for(want_policy: bool, server: Server) -> None:  # noqa: FBT001 - a parameter
    """Without the control a locked account looks like a wrong password."""
    server.say(wire.bind_result(0))
    server.client.bind("uid=u", Secret("s3cret"), want_policy=want_policy)

    assert want_policy == (OID.encode() in server.said())


@pytest.mark.parametrize(
    "operations",
    [[DONE], [wire.extended_result(0, "")], [ENTRIES[0]], [INTERMEDIATE, DONE]],
)
def test_the_answer_to_a_bind_must_be_one(operations: list[bytes], server: Server) -> None:
    """A success of something else is no success; ldap3 takes it for one."""
    server.say(*operations)
    with pytest.raises(OutcomeUnknown):
        server.client.bind("uid=u", Secret("s3cret"))


def test_a_policy_that_cannot_be_read_is_no_yes(server: Server) -> None:
    """A success with a control that is broken."""
    server.say(wire.bind_result(0), controls={OID: b"\x30\x09"})
    with pytest.raises(OutcomeUnknown):
        server.client.bind("uid=u", Secret("s3cret"))


def test_nothing_is_sent_in_clear_text() -> None:
    """Neither a password nor what would be a bind as nobody."""
    plain = Server(Transport)
    with pytest.raises(TlsFailed):
        plain.client.bind("uid=u", Secret("s3cret"))
    encrypted = Server()
    with pytest.raises(BindNotSent):
        encrypted.client.bind("", Secret("s3cret"))

    assert b"s3cret" not in plain.said() + encrypted.said()


# Searches ----------------------------------------------------------------------------------------


def test_a_search(server: Server) -> None:
    """Entries are given, references and intermediate answers are passed over."""
    server.say(ENTRIES[0], wire.search_reference("ldap://trap"), INTERMEDIATE, ENTRIES[1], DONE)
    found = server.client.search(BASE, "(uid=*)", ("uid",))

    assert [entry.text("uid") for entry in found] == ["u0", "u1"]


def test_a_limit(server: Server) -> None:
    """More than asked for is cut; a limit of the server's own that is lower is no whole answer."""
    server.say(*ENTRIES, DONE)
    server.say(*ENTRIES[:2], wire.search_done(4), to=2)
    server.say(ENTRIES[0], wire.search_done(4), to=3)
    server.say(*ENTRIES, wire.search_done(4), to=4)
    ask = server.client.search

    assert [len(ask(BASE, "(uid=*)", (), limit=2)) for _ in range(2)] == [2, 2]
    for limit in (2, 0):
        with pytest.raises(SearchRefused, match="size limit exceeded"):
            ask(BASE, "(uid=*)", (), limit=limit)


def test_too_many(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for in one piece must not fill the memory."""
    monkeypatch.setattr(connections, "MAX_ENTRIES", 3)
    server.say(*ENTRIES, DONE)
    with pytest.raises(AnswerUnusable, match="more than 3 entries"):
        server.client.search(BASE, "(uid=*)", ())


def test_too_large(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """References without end count, too; and one message is limited by itself."""
    monkeypatch.setattr(connections, "MAX_PAGE", 100)
    server.say(*[wire.search_reference("ldap://trap/" + "x" * 50)] * 3)
    with pytest.raises(AnswerUnusable):
        server.client.search(BASE, "(uid=*)", ())
    other = Server()
    other.client.most = 50
    other.say(wire.search_reference("ldap://trap/" + "x" * 50))
    with pytest.raises(AnswerUnusable, match="an answer of"):
        other.client.search(BASE, "(uid=*)", ())


def test_one_entry(server: Server) -> None:
    """By its name; none there is None, anything else an error; the root is empty where it cannot be read."""
    server.say(ENTRIES[0], DONE)
    server.say(wire.search_done(32), to=2)
    server.say(DONE, to=3)
    server.say(wire.search_done(50), to=4)
    ask = server.client.search_base

    assert [entry and entry.text("uid") for entry in (ask(BASE, ("uid",)), ask(BASE, ("uid",)))] == ["u0", None]
    assert server.client.root(("namingContexts",)).texts("namingContexts") == ()
    with pytest.raises(SearchRefused):
        ask(BASE, ("uid",))


@pytest.mark.parametrize("operation", [wire.bind_result(0), wire.extended_result(0, "")])
def test_an_answer_to_something_else(operation: bytes, server: Server) -> None:
    """Is not believed."""
    server.say(operation)
    with pytest.raises(AnswerUnusable):
        server.client.search(BASE, "(uid=*)", ())


def test_a_filter_that_is_none(server: Server) -> None:
    """Is not sent."""
    with pytest.raises(DirectoryUnreachable, match="cannot be read"):
        server.client.search(BASE, "(uid=", ())

    assert b"uid=" not in server.said()


# Pages -------------------------------------------------------------------------------------------

PAGED = wire.PAGED_RESULTS


def test_pages(server: Server) -> None:
    """Until the server says that there is no more; an empty page in between is a page."""
    server.say(*ENTRIES[:2], DONE, controls={PAGED: wire.paged_value(b"a")})
    server.say(DONE, to=2, controls={PAGED: wire.paged_value(b"b")})
    server.say(ENTRIES[2], DONE, to=3, controls={PAGED: wire.paged_value(b"")})
    pages = list(server.client.pages(BASE, "(uid=*)", ("uid",), page_size=2, scope=Scope.LEVEL))

    assert [[entry.text("uid") for entry in page] for page in pages] == [["u0", "u1"], [], ["u2"]]


@pytest.mark.parametrize("controls", [None, {"1.2.3": b""}, {PAGED: None}, {PAGED: b"\x30\x00"}])
def test_a_page_without_a_word_on_more_is_not_the_last(controls: wire.Controls | None, server: Server) -> None:
    """The server ignored the control, or says nothing that can be read."""
    server.say(*ENTRIES, DONE, controls=controls)
    with pytest.raises(AnswerUnusable):
        list(server.client.pages(BASE, "(uid=*)", ()))


def test_pages_that_are_none(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Larger than asked for, the same again, or empty for ever."""
    server.say(*ENTRIES, DONE, controls={PAGED: wire.paged_value(b"")})
    with pytest.raises(AnswerUnusable, match="more than 3"):
        list(server.client.pages(BASE, "(uid=*)", (), page_size=3))
    again, empty = Server(), Server()
    for number in (1, 2):
        again.say(*ENTRIES, DONE, to=number, controls={PAGED: wire.paged_value(b"a%d" % number)})
        empty.say(DONE, to=number, controls={PAGED: wire.paged_value(b"a%d" % number)})
    with pytest.raises(AnswerUnusable, match="again and again"):
        list(again.client.pages(BASE, "(uid=*)", ()))
    monkeypatch.setattr(connections, "MAX_EMPTY_PAGES", 1)
    with pytest.raises(AnswerUnusable, match="again and again"):
        list(empty.client.pages(BASE, "(uid=*)", ()))


def test_each_page_has_its_time(server: Server) -> None:
    """A long reading does not run out of it, and one page that does not come does."""
    server.client.deadline = Deadline(0.0)
    server.client.each_s = 0.2
    server.say(ENTRIES[0], DONE, controls={PAGED: wire.paged_value(b"a")})
    pages = server.client.pages(BASE, "(uid=*)", ("uid",))

    assert len(next(pages)) == 1
    with pytest.raises(AnswerMissing, match="in time"):
        next(pages)


# The rest ----------------------------------------------------------------------------------------


def test_who_am_i(server: Server) -> None:
    """As the server says; a server that does not know the question is an error with its code."""
    server.say(INTERMEDIATE, wire.result(0x78, 0, "", (), wire.text("u:CORP\\svc", 0x8B)))
    server.say(wire.extended_result(0, ""), to=2)
    server.say(wire.extended_result(2, ""), to=3)
    told = [server.client.who_am_i() for _ in range(2)]
    with pytest.raises(SearchRefused) as caught:
        server.client.who_am_i()

    assert (told, caught.value.code) == (["u:CORP\\svc", ""], 2)


def test_the_end(server: Server) -> None:
    """A notice of disconnection, or just the end; and it is seen before the next use."""
    quiet = server.client.is_idle()
    server.say(wire.result(0x78, 52, "", (), wire.text(wire.NOTICE_OF_DISCONNECTION, 0x8A)), to=0)
    spoken = server.client.is_idle()
    with pytest.raises(AnswerMissing, match="unavailable"):
        server.client.search(BASE, "(uid=*)", ())
    over = Server()
    over.socket.close()
    ended = over.client.is_idle()
    with pytest.raises(AnswerMissing, match="ended"):
        over.client.search(BASE, "(uid=*)", ())
    over.client.close()

    assert (quiet, spoken, ended, over.client.is_idle()) == (True, False, False, False)


def test_a_message_in_hand_is_no_quiet() -> None:
    """What came with the last answer and was not asked for."""
    server = Server()
    server.say(ENTRIES[0], DONE)
    server.say(DONE)
    server.client.search(BASE, "(uid=*)", ())

    assert not server.client.is_idle()


def test_goodbye(server: Server) -> None:
    """A connection ends with an unbind; also one that cannot be written to any more ends."""
    assert server.said().endswith(b"\x42\x00")
    full = Server()
    full.client._transport._socket.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while full.client._transport._socket.send(b"x" * 65536):
            pass
    full.client.close()


def test_a_server_that_does_not_read() -> None:
    """What cannot be sent is no answer in time."""
    server = Server()
    server.client.deadline = Deadline.after(0.1)
    with pytest.raises(AnswerMissing, match="in time"):
        server.client.search(BASE, f"(uid={'x' * 500_000})", ())


def test_no_time_is_left() -> None:
    """Neither to connect nor to send."""
    with pytest.raises(NotConnected):
        Transport.connect([(socket.AF_INET, "127.0.0.1", 1)], "here", Deadline(0.0))
    with pytest.raises(NotConnected, match="no address"):
        Transport.connect([], "here", Deadline.after(1))
    server = Server()
    server.client.deadline = Deadline(0.0)
    with pytest.raises(AnswerMissing):
        server.client.who_am_i()


def test_the_second_address_is_tried() -> None:
    """A name with two addresses, of which the first refuses."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        addresses = [(socket.AF_INET6, "::1", port), (socket.AF_INET, "127.0.0.1", port)]
        transport = Transport.connect(addresses, "here", Deadline.after(5))
        nodelay = transport._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        transport.close()

    assert nodelay  # without it each bind waits for a delayed acknowledgement
    assert transport.certificate == b""
