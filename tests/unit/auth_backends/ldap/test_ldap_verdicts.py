"""What the answer to a bind means: only 0 is yes, and what is not a sure no is "cannot tell"."""

from __future__ import annotations

import pytest

from auth_backends.api import Accepted, Reason, Rejected, Secret, Unavailable
from auth_backends.ldap.connection import BindAnswer, sendable
from auth_backends.ldap.password_policy import PolicyAnswer, PolicyError
from auth_backends.ldap.results import named
from auth_backends.ldap.verdicts import SUBCODES, verdict_of
from config.ldap import Vendor

AD_TEXT = "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {}, v2580"


@pytest.mark.parametrize(("code", "reason"), SUBCODES.items())
@pytest.mark.parametrize("vendor", [Vendor.ACTIVE_DIRECTORY, Vendor.ENTRA_DS])
def test_sub_codes(code: str, reason: Reason, vendor: Vendor) -> None:
    """Each is its own reason, in either case."""
    assert Rejected(reason) == verdict_of(BindAnswer(49, AD_TEXT.format(code)), vendor)
    assert Rejected(reason) == verdict_of(BindAnswer(49, AD_TEXT.format(code.upper())), vendor)


@pytest.mark.parametrize(
    "text", ["", "data", "data 52e", "metadata 52e,", AD_TEXT.format("999"), AD_TEXT.format("52e1"), "data 0x52e,"]
)
def test_no_known_sub_code(text: str) -> None:
    """A refusal all the same, without a reason made up."""
    assert Rejected(Reason.DIRECTORY_REFUSED) == verdict_of(BindAnswer(49, text), Vendor.ACTIVE_DIRECTORY)


@pytest.mark.parametrize("vendor", [Vendor.OPENLDAP, Vendor.DS389, Vendor.CUSTOM])
def test_sub_codes_are_active_directorys(vendor: Vendor) -> None:
    """Elsewhere the text means nothing."""
    assert Rejected(Reason.WRONG_PASSWORD) == verdict_of(BindAnswer(49, AD_TEXT.format("533")), vendor)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PolicyError.PASSWORD_EXPIRED, Reason.DIRECTORY_PASSWORD_EXPIRED),
        (PolicyError.ACCOUNT_LOCKED, Reason.DIRECTORY_LOCKED),
        (PolicyError.CHANGE_AFTER_RESET, Reason.DIRECTORY_PASSWORD_MUST_CHANGE),
    ],
)
@pytest.mark.parametrize("code", [0, 49])
def test_the_policy_objects(error: PolicyError, reason: Reason, code: int) -> None:
    """With a right password as with a wrong one; whatever is objected to, nobody gets in."""
    assert Rejected(reason) == verdict_of(BindAnswer(code, "", PolicyAnswer(error)), Vendor.OPENLDAP)


@pytest.mark.parametrize("policy", [None, PolicyAnswer(), PolicyAnswer(grace_left=1)])
def test_yes(policy: PolicyAnswer | None) -> None:
    """Success without an objection, also in the time of grace."""
    for vendor in Vendor:
        assert isinstance(verdict_of(BindAnswer(0, "", policy), vendor), Accepted)


def test_grace_outweighs_an_expired_password_and_nothing_else() -> None:
    """A server may send both."""
    expired = PolicyAnswer(PolicyError.PASSWORD_EXPIRED, grace_left=0)
    locked = PolicyAnswer(PolicyError.ACCOUNT_LOCKED, grace_left=3)

    assert isinstance(verdict_of(BindAnswer(0, "", expired), Vendor.OPENLDAP), Accepted)
    assert Rejected(Reason.DIRECTORY_LOCKED) == verdict_of(BindAnswer(0, "", locked), Vendor.OPENLDAP)
    assert Rejected(Reason.DIRECTORY_PASSWORD_EXPIRED) == verdict_of(BindAnswer(49, "", expired), Vendor.OPENLDAP)


@pytest.mark.parametrize("vendor", list(Vendor))
def test_every_other_result(vendor: Vendor) -> None:
    """Of all codes there are, only a few are a sure no, and only one is a yes."""
    sure = {32: Reason.DIRECTORY_NO_ENTRY, 34: Reason.DIRECTORY_REFUSED, 48: Reason.NO_PASSWORD_SET}
    if vendor in {Vendor.DS389, Vendor.CUSTOM}:
        sure |= {19: Reason.DIRECTORY_LOCKED, 53: Reason.DIRECTORY_DISABLED}
    for code in (*range(1, 49), *range(50, 130), 4096, -1):
        verdict = verdict_of(BindAnswer(code, "text of the server"), vendor)
        if code in sure:
            assert Rejected(sure[code]) == verdict, code
        else:
            assert isinstance(verdict, Unavailable), code
            assert "text of the server" not in verdict.detail


def test_result_codes_have_names() -> None:
    """For people."""
    assert (named(51), named(4711)) == ("busy (51)", "result 4711")


@pytest.mark.parametrize(
    "text", ["", " ", "\t\r\n", "\u00a0\u3000", "\u00ad", "\u200b\u2060", " \u00ad ", "a\0", "x" * 1025, "\ud800"]
)
def test_what_must_not_be_sent(text: str) -> None:
    """What is empty, or what a server may make empty: blanks, and what SASLprep drops."""
    assert not sendable("uid=alice", Secret(text))


@pytest.mark.parametrize("dn", ["", "  ", "uid=a\0b", "x" * 4097])
def test_whom_nothing_is_sent_for(dn: str) -> None:
    """No name is a bind as nobody."""
    assert not sendable(dn, Secret("password"))


def test_what_may_be_sent() -> None:
    """Blanks around or inside a password are part of it."""
    for text in (" x ", "x", "x" * 1024, "\u00adx", "päss wörd"):
        assert sendable("uid=alice", Secret(text))
