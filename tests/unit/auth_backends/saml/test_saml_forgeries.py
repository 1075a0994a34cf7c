"""Forged and wrapped responses against the verifier: none brings another person (S1 to S13)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from auth_backends.saml.documents import DSIG
from auth_backends.sso import SsoReason, SsoRefused
from tests.support.saml_attacks.signatures import OTHER_REFERENCES, SIGNATURE_TRICKS, TAMPERINGS
from tests.support.saml_attacks.wrappings import WRAPPINGS
from tests.support.saml_signer import certificate_der
from tests.unit.auth_backends.saml.conftest import REQUEST, Bench


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS)
def test_no_wrapping_brings_another_person(bench: Bench, wrap: Callable[[Any], None], *, encrypted: bool) -> None:
    """S1-S9, also with what can be hidden in the encrypted part."""
    key = bench.sp.certificate_pem if encrypted else None

    assert bench.reason(bench.signer.response(REQUEST, bench.now, signed=wrap, encrypt_for=key))


def test_a_wrapped_response_signature_is_refused(bench: Bench) -> None:
    """S1 and S2 where the response is signed as well."""
    for wrap in list(WRAPPINGS.values())[:2]:
        response = bench.signer.response(REQUEST, bench.now, sign=("assertion", "response"), signed=wrap)
        assert bench.reason(response)


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_unsigned_is_refused(bench: Bench, *, encrypted: bool) -> None:
    """S10 and S22: also where it was encrypted, which anybody can do."""
    key = bench.sp.certificate_pem if encrypted else None

    assert bench.reason(bench.signer.response(REQUEST, bench.now, sign=(), encrypt_for=key)) is SsoReason.NOT_SIGNED


def test_a_signed_response_alone_is_not_enough_and_says_so(bench: Bench) -> None:
    """A setting at the provider that an admin must change."""
    with pytest.raises(SsoRefused, match="let the provider sign the assertion"):
        bench.verify(bench.signer.response(REQUEST, bench.now, sign=("response",)))


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_another_key_is_refused(bench: Bench, *, encrypted: bool) -> None:
    """S11 and S21: its own certificate beside the signature, under the same subject, proves nothing."""
    key = bench.sp.certificate_pem if encrypted else None
    response = bench.stranger.response(REQUEST, bench.now, encrypt_for=key)

    assert bench.reason(response) is SsoReason.UNKNOWN_SIGNING_KEY


def test_the_providers_certificate_beside_another_signature_is_refused(bench: Bench) -> None:
    """S11: the right certificate shown, the wrong key used."""

    def swap(root: Any) -> None:
        shown = next(root.iter(f"{{{DSIG}}}X509Certificate"))
        shown.text = base64.b64encode(certificate_der(bench.signer.pair)).decode()

    assert bench.reason(bench.stranger.response(REQUEST, bench.now, signed=swap)) is SsoReason.BAD_SIGNATURE


@pytest.mark.parametrize("change", TAMPERINGS.values(), ids=TAMPERINGS)
def test_what_is_signed_cannot_be_changed(bench: Bench, change: Callable[[Any], None]) -> None:
    """S12."""
    assert bench.reason(bench.signer.response(REQUEST, bench.now, signed=change)) is SsoReason.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [("RSA_SHA1", "SHA256"), ("RSA_SHA256", "SHA1")],
    ids=["signature by SHA-1", "digest by SHA-1"],
)
def test_sha1_is_refused(bench: Bench, algorithm: str, digest: str) -> None:
    """S13."""
    response = replace(bench.signer, algorithm=algorithm, digest=digest).response(REQUEST, bench.now)

    assert bench.reason(response) is SsoReason.FORBIDDEN_ALGORITHM


@pytest.mark.parametrize("change", SIGNATURE_TRICKS.values(), ids=SIGNATURE_TRICKS)
def test_a_signature_says_one_plain_thing(bench: Bench, change: Callable[[Any], None]) -> None:
    """S13 and S19: refused before anything is computed."""
    assert bench.reason(bench.signer.response(REQUEST, bench.now, signed=change)) in {
        SsoReason.FORBIDDEN_ALGORITHM,
        SsoReason.MALFORMED,
    }


@pytest.mark.parametrize("change", OTHER_REFERENCES.values(), ids=OTHER_REFERENCES)
def test_a_signature_speaks_of_the_element_it_stands_in(bench: Bench, change: Callable[[Any], None]) -> None:
    """An empty reference would sign whatever the document is."""
    assert bench.reason(bench.signer.response(REQUEST, bench.now, signed=change)) is SsoReason.BAD_SIGNATURE
