"""The verifier against real signatures: what is believed, and what was made for others or another time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from auth_backends.saml.parties import ENTRA_RULES, new_key_pair
from auth_backends.sso import SsoReason, SsoRefused
from tests.support.saml_attacks.wrong_things import WRONG_THINGS
from tests.support.saml_changes import set_attribute
from tests.support.saml_signer import (
    GROUPS,
    OID,
    certificate_der,
    moment,
)
from tests.unit.auth_backends.saml.conftest import REQUEST, Bench

HOUR_S = 3600.0


# Believed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize("sign", [("assertion",), ("assertion", "response")], ids=["assertion", "both"])
def test_a_right_response_names_the_person(bench: Bench, sign: tuple[str, ...], *, encrypted: bool) -> None:
    """By the object id; with what single logout and the cache of used assertions need."""
    key = bench.sp.certificate_pem if encrypted else None
    found = bench.verify(bench.signer.response(REQUEST, bench.now, sign=sign, encrypt_for=key))

    assert (found.person.subject, found.person.login) == (OID, "ann@contoso.test")
    assert (found.person.display_name, found.person.email) == ("Ann Example", "ann@contoso.test")
    assert found.person.groups == frozenset({"g-1", "g-2"})
    assert found.in_response_to == REQUEST
    assert found.name_id == "ann@contoso.test"
    assert found.session_index
    assert found.not_on_or_after == pytest.approx(bench.now + 4200 + 180, abs=1)
    assert all(check.passed for check in found.checks)


def test_the_provider_may_begin_where_no_request_is_expected(bench: Bench) -> None:
    """Then nothing may claim to be an answer."""
    assert bench.verify(bench.signer.response(None, bench.now), request_id=None).in_response_to is None


def test_both_certificates_count_during_a_roll_over(bench: Bench) -> None:
    """S21: the old one, the new one, and no other."""
    new = replace(bench.signer, pair=new_key_pair("idp", bench.now))
    response = new.response(REQUEST, bench.now)

    assert bench.verify(response, more=(new.pair,)).person.subject == OID
    assert bench.verify(bench.signer.response(REQUEST, bench.now), more=(new.pair,)).person.subject == OID
    assert bench.reason(response) is SsoReason.UNKNOWN_SIGNING_KEY


def test_a_fingerprint_is_enough_where_it_was_chosen(bench: Bench) -> None:
    """The certificate in the signature counts if its SHA-256 is the admin's."""
    from auth_backends.saml.signatures import fingerprint_of
    from auth_backends.saml.verifier import SamlVerifier

    known = fingerprint_of(certificate_der(bench.signer.pair))
    idp = replace(bench.signer.idp(), certificates=(), fingerprints=frozenset({known}))
    verifier = SamlVerifier(idp, bench.sp, ENTRA_RULES)

    assert verifier.verify(bench.signer.response(REQUEST, bench.now), request_id=REQUEST, now=bench.now)
    with pytest.raises(SsoRefused) as refused:
        verifier.verify(bench.stranger.response(REQUEST, bench.now), request_id=REQUEST, now=bench.now)
    assert refused.value.reason is SsoReason.UNKNOWN_SIGNING_KEY


def test_too_many_groups_are_unknown_groups(bench: Bench) -> None:
    """Entra's overage, and no groups at all, are not "none"."""
    link = {"http://schemas.microsoft.com/claims/groups.link": ("https://graph.windows.net/x",), GROUPS: ()}
    overage = bench.signer.response(REQUEST, bench.now, **link)
    silent = bench.signer.response(REQUEST, bench.now, **{GROUPS: ()})

    assert bench.verify(overage).person.groups is None
    assert bench.verify(silent).person.groups is None


@pytest.mark.parametrize("skew", [-170.0, 170.0], ids=["their clock is behind", "their clock is ahead"])
def test_clocks_may_differ_by_three_minutes(bench: Bench, skew: float) -> None:
    """Both ways."""
    signer = replace(bench.signer, lifetime_s=1.0)

    assert bench.verify(signer.response(REQUEST, bench.now + skew)).person.subject == OID


# Made for others, at another time, to another request ---------------------------------------------


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize(("change", "reason"), WRONG_THINGS.values(), ids=WRONG_THINGS)
def test_each_wrong_thing_alone_is_refused(
    bench: Bench, change: Callable[[Any], None], reason: SsoReason, *, encrypted: bool
) -> None:
    """S14, S16 and what a person is found by; all rightly signed."""
    key = bench.sp.certificate_pem if encrypted else None

    assert bench.reason(bench.signer.response(REQUEST, bench.now, unsigned=change, encrypt_for=key)) is reason


@pytest.mark.parametrize(
    "at", [-6 * 60.0, 4200.0 + 6 * 60, 48 * HOUR_S, -48 * HOUR_S], ids=["6 min early", "6 min late", "old", "future"]
)
def test_an_assertion_has_its_time(bench: Bench, at: float) -> None:
    """S15: six minutes of skew are too many."""
    response = bench.signer.response(REQUEST, bench.now)

    assert bench.reason(response, now=bench.now + at) is SsoReason.OUT_OF_TIME


def test_a_session_that_is_over_there_begins_none_here(bench: Bench) -> None:
    """SessionNotOnOrAfter."""
    over = set_attribute("saml:Assertion/saml:AuthnStatement", "SessionNotOnOrAfter", moment(bench.now - 1))

    assert bench.reason(bench.signer.response(REQUEST, bench.now, unsigned=over)) is SsoReason.OUT_OF_TIME


def test_an_answer_is_no_beginning(bench: Bench) -> None:
    """S16: where the provider begins, no request may be named."""
    assert bench.reason(bench.signer.response(REQUEST, bench.now), request_id=None) is SsoReason.UNSOLICITED


def test_a_provider_that_says_no_is_heard(bench: Bench) -> None:
    """S23: with the words that it gives."""
    responder = set_attribute("samlp:Status/samlp:StatusCode", "Value", "urn:oasis:names:tc:SAML:2.0:status:Responder")

    response = bench.signer.response(REQUEST, bench.now, unsigned=responder)
    assert bench.reason(response) is SsoReason.PROVIDER_SAID_NO
