"""What a server says is read strictly; what is asked is encoded as it should be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_backends.ldap import ber, codec
from auth_backends.ldap.codec import Kind, Scope
from auth_backends.ldap.entry import Entry
from auth_backends.ldap.password_policy import NETSCAPE_EXPIRED, OID, PolicyAnswer, PolicyError, policy_answer
from tests.support.directories import ldap_wire as wire

DN = "uid=alice,dc=lab,dc=test"


def test_an_entry() -> None:
    """Attributes by casefolded name, options kept; the same name twice is one attribute."""
    entry = wire.search_entry(DN, {"CN": [b"a", b"b"], "member;range=0-1": [b"x"], "empty": []})
    answer = codec.answer(wire.message(7, entry))
    twice = wire.encoded(
        0x64,
        wire.text(DN),
        wire.encoded(
            0x30,
            *(wire.encoded(0x30, wire.text("cn"), wire.encoded(0x31, wire.text(value))) for value in ("a", "b")),
        ),
    )

    assert (answer.message_id, answer.kind) == (7, Kind.ENTRY)
    assert answer.entry == Entry(DN, {"cn": (b"a", b"b"), "member;range=0-1": (b"x",), "empty": ()})
    read = codec.answer(wire.message(1, twice)).entry
    assert read is not None
    assert dict(read.attributes) == {"cn": (b"a", b"b")}


@pytest.mark.timeout(45)
def test_one_attribute_again_and_again() -> None:
    """All values in order, in a time that grows with their number: with its square, these would take minutes."""
    values = [number.to_bytes(3, "big") for number in range(200_000)]
    start = wire.encoded(0x30, wire.text("cn"), wire.encoded(0x31, wire.text(values[0]))).removesuffix(values[0])
    entry = wire.encoded(0x64, wire.text(DN), wire.encoded(0x30, *(start + value for value in values)))

    read = codec.answer(wire.message(1, entry)).entry

    assert read is not None
    assert list(read.attributes) == ["cn"]
    assert list(read.attributes["cn"]) == values


def test_results() -> None:
    """A referral in the answer to a bind, which ldap3's own decoder cannot read, is a result like any other."""
    bind = codec.answer(wire.message(1, wire.bind_result(10, "text", ["ldap://trap"]), {OID: b"\x30\x00"}))
    done = codec.answer(wire.message(2, wire.search_done(4)))
    extended = codec.answer(wire.message(3, wire.result(0x78, 0, "", (), wire.text("dn:x", 0x8B))))
    reference = codec.answer(wire.message(4, wire.search_reference("ldap://trap")))
    notice = codec.answer(wire.message(5, wire.encoded(0x79), {"1.2": None}))

    assert (bind.kind, bind.code, bind.text, bind.controls) == (Kind.BIND, 10, "text", {OID: b"\x30\x00"})
    assert (done.kind, done.code, extended.value) == (Kind.DONE, 4, b"dn:x")
    assert (reference.kind, notice.kind) == (Kind.REFERENCE, Kind.INTERMEDIATE)


GOOD = [
    wire.message(1, wire.search_entry(DN, {"cn": [b"a"]}), {OID: b"x", "1.2": None}),
    wire.message(1, wire.bind_result(49, "no"), {OID: b"\x30\x03\x81\x01\x01"}),
    wire.message(1, wire.search_done(), {wire.PAGED_RESULTS: wire.paged_value(b"next")}),
]


@given(st.sampled_from(GOOD), st.data())
def test_a_spoilt_message_is_no_other_message(good: bytes, data: st.DataObject) -> None:
    """Whatever byte is changed or lost: an error of ours or a message, never anything else."""
    place = data.draw(st.integers(0, len(good) - 1))
    spoilt = data.draw(
        st.sampled_from([good[:place], good[:place] + bytes([data.draw(st.integers(0, 255))]) + good[place + 1 :]])
    )
    try:
        codec.answer(spoilt)
    except ber.BerError:
        return
    assert len(spoilt) == len(good)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x00",
        b"\x02\x01\x01",
        b"\x30\x80\x00\x00",
        b"\x30\x85\x01\x00\x00\x00\x00",
        b"\x1f\x01\x00",
        wire.encoded(0x30, wire.integer(1), b"\x60\x00"),
        wire.encoded(0x30, wire.integer(1), b"\x61\x00"),
        wire.encoded(0x30, wire.integer(1), b"\x64\x00"),
        wire.encoded(0x30, wire.text("1"), b"\x79\x00"),
        wire.encoded(0x30, wire.encoded(0x02), b"\x79\x00"),
        wire.message(1, wire.encoded(0x64, wire.text(DN), wire.encoded(0x30, wire.text("cn")))),
        wire.message(1, wire.bind_result(0)) + b"\x30\x00",
        wire.encoded(0x30, wire.integer(1), b"\x79\x00", wire.encoded(0xA0, b"\x30\x00")),
    ],
)
def test_what_is_no_message(data: bytes) -> None:
    """Half a message, indefinite or huge lengths, long tags, a request, and messages with holes."""
    with pytest.raises(ber.BerError):
        codec.answer(data)


def test_sizes() -> None:
    """The size is known as soon as the length is there; what is no LDAP is known by its first byte."""
    whole = wire.message(1, wire.search_entry(DN, {"cn": [b"x" * 300]}))

    assert [ber.message_size(whole[:n]) for n in (0, 1, 2, 3, 4, 5)] == [None, None, None, None, *[len(whole)] * 2]
    assert ber.message_size(b"\x30\x05") == 7
    for broken in (b"HTTP", b"\x30\x80", b"\x30\x85"):
        with pytest.raises(ber.BerError):
            ber.message_size(broken)


def test_requests() -> None:
    """What is sent is what was meant, to the byte; bytes of a password go out as they are."""
    bind = wire.request(bytearray(codec.message(5, codec.bind(DN, b"p\xc3\xa4ss"), {OID: None})))
    operation = codec.search(DN, r"(&(a=b)(!(c=\2a*)))", ("cn", "1.1"), scope=Scope.BASE, limit=2, time_limit_s=5)
    search = wire.request(bytearray(codec.message(300, operation, codec.paged_control(500, b"next"), critical=True)))
    asked = wire.Search.of(search)
    who = wire.request(bytearray(codec.message(1, codec.extended(codec.WHO_AM_I))))

    assert (bind.message_id, bind.bind_dn, bind.bind_password) == (5, DN, b"p\xc3\xa4ss")
    assert OID in bind.controls
    assert (search.message_id, asked.base, asked.scope, asked.attributes) == (300, DN, 0, ("cn", "1.1"))
    assert codec.page_cookie(search.controls[codec.PAGED_RESULTS]) == b"next"
    assert who.extended_name == codec.WHO_AM_I


@pytest.mark.parametrize("wanted", ["(a=b", "a=b", "()", "(a)", "((a=b))", "(&)", ""])
def test_what_is_no_filter(wanted: str) -> None:
    """Said as such, and not as an error of a library."""
    with pytest.raises(codec.FilterMalformed):
        codec.search(DN, wanted, (), scope=Scope.SUBTREE, limit=0, time_limit_s=1)


@pytest.mark.parametrize("value", [b"", b"\x30\x00", b"\x04\x00", b"\x30\x03\x02\x01\x00", b"\x30\x05"])
def test_what_is_no_cookie(value: bytes) -> None:
    """A paging control that cannot be read does not look like the last page."""
    with pytest.raises(ber.BerError):
        codec.page_cookie(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"\x30\x00", PolicyAnswer()),
        (b"\x30\x03\x81\x01\x00", PolicyAnswer(PolicyError.PASSWORD_EXPIRED)),
        (b"\x30\x03\x81\x01\x01", PolicyAnswer(PolicyError.ACCOUNT_LOCKED)),
        (b"\x30\x03\x81\x01\x02", PolicyAnswer(PolicyError.CHANGE_AFTER_RESET)),
        (b"\x30\x03\x81\x01\x05", PolicyAnswer()),
        (b"\x30\x05\xa0\x03\x81\x01\x02", PolicyAnswer(grace_left=2)),
        (b"\x30\x05\xa0\x03\x80\x01\x3c", PolicyAnswer()),
        (b"\x30\x08\xa0\x03\x81\x01\x00\x81\x01\x00", PolicyAnswer(PolicyError.PASSWORD_EXPIRED, 0)),
    ],
)
def test_the_password_policy_control(value: bytes, expected: PolicyAnswer) -> None:
    """Errors, grace, time before it expires, and errors that are about changing a password."""
    assert expected == policy_answer({OID: value}, succeeded=True)


def test_no_word_of_the_policy() -> None:
    """None without the control; 389's old control means another thing with a success; what is broken is an error."""
    assert policy_answer({}, succeeded=True) is None
    assert policy_answer({OID: None}, succeeded=False) is None
    assert PolicyAnswer(PolicyError.CHANGE_AFTER_RESET) == policy_answer({NETSCAPE_EXPIRED: b"0"}, succeeded=True)
    assert PolicyAnswer(PolicyError.PASSWORD_EXPIRED) == policy_answer({NETSCAPE_EXPIRED: b"0"}, succeeded=False)
    for broken in (b"\x30\x05", b"\x04\x00", b"\x30\x02\x81\x05"):
        with pytest.raises(ber.BerError):
            policy_answer({OID: broken}, succeeded=True)
