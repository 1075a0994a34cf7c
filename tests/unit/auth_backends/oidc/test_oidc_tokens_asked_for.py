"""How we prove who we are at a real token endpoint, and what a refusal says."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import Any

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from joserfc import jws

from auth_backends.api import Secret
from auth_backends.sso import SsoReason, SsoRefused
from tests.support.oidc_provider_double import SECRET, base64url, rsa_key
from tests.support.oidc_site import MakeSite, Site

METHODS = "token_endpoint_auth_methods_supported"
ALGORITHMS = "token_endpoint_auth_signing_alg_values_supported"


def key_pem(name: str) -> str:
    return rsa_key(name).as_pem(private=True).decode()


def certificate_pem(name: str) -> tuple[str, str]:
    """Give a certificate of the key, and its SHA-256 as tokens name it."""
    key = rsa_key(name)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "quaymaster")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key)
    builder = builder.serial_number(7).not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    made = builder.sign(key.private_key, hashes.SHA256())
    thumbprint = base64url(hashlib.sha256(made.public_bytes(Encoding.DER)).digest())
    return made.public_bytes(Encoding.PEM).decode(), thumbprint


# Proof -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("methods", "basic"),
    [
        (None, True),
        (["client_secret_basic"], True),
        (["client_secret_post", "client_secret_basic"], True),
        (["client_secret_post"], False),
        (["private_key_jwt", "client_secret_post"], False),
    ],
)
def test_the_secret_goes_as_the_provider_takes_it(site: Site, methods: list[str] | None, basic: bool) -> None:  # noqa: FBT001
    """HTTP Basic unless the provider names only the form; a secret with odd characters arrives whole."""
    site.provider.published[METHODS] = methods

    site.sign_in()

    fields, headers = site.provider.token_requests[0], site.provider.token_headers[0]
    assert ("authorization" in headers) is basic
    assert ("client_secret" in fields) is not basic
    assert "client_assertion" not in fields


def test_a_provider_that_takes_no_secret_is_not_sent_it(site: Site) -> None:
    """The mistake is named before anything is sent."""
    site.provider.published[METHODS] = ["private_key_jwt"]

    assert site.reason() is SsoReason.NOT_CONFIGURED
    assert site.provider.hits["/token"] == 0


def _header(statement: str) -> dict[str, Any]:
    return dict(jws.extract_compact(statement.encode()).headers())


@pytest.mark.parametrize(
    ("algorithms", "with_certificate", "expected"),
    [
        (None, False, "RS256"),
        (None, True, "PS256"),
        (["RS256"], True, "RS256"),
        (["RS256", "PS256"], False, "PS256"),
    ],
)
def test_a_signed_statement_in_place_of_a_secret(
    make_site: MakeSite,
    algorithms: list[str] | None,
    with_certificate: bool,  # noqa: FBT001
    expected: str,
) -> None:
    """RFC 7523: the provider checks it by our key; a certificate is named by its SHA-256."""
    certificate, thumbprint = certificate_pem("client")
    pem = key_pem("client") + (certificate if with_certificate else "")
    site = make_site(client_secret=None, private_key_pem=Secret(pem))
    site.provider.client_key = rsa_key("client")
    site.provider.published[ALGORITHMS] = algorithms

    assert site.sign_in().person.subject == "sub-of-ada"

    fields, headers = site.provider.token_requests[0], site.provider.token_headers[0]
    assert "authorization" not in headers
    assert "client_secret" not in fields
    assert fields["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    header = _header(fields["client_assertion"])
    assert header["alg"] == expected
    assert header.get("x5t#S256") == (thumbprint if with_certificate else None)


def test_each_statement_is_used_once(make_site: MakeSite) -> None:
    """Two requests carry two ids, and each is good for minutes only."""
    site = make_site(client_secret=None, private_key_pem=Secret(key_pem("client")))
    site.provider.client_key = rsa_key("client")
    site.sign_in()
    site.sign_in()

    claims = [
        json.loads(jws.extract_compact(fields["client_assertion"].encode()).payload)
        for fields in site.provider.token_requests
    ]
    assert len({one["jti"] for one in claims}) == 2
    assert all(one["exp"] - one["iat"] <= 600 for one in claims)
    assert all(one["aud"] == f"{site.provider.issuer}/token" for one in claims)


def test_a_key_that_the_provider_does_not_know(make_site: MakeSite) -> None:
    """It refuses the statement; that is a mistake of the set-up."""
    site = make_site(client_secret=None, private_key_pem=Secret(key_pem("unknown")))
    site.provider.client_key = rsa_key("client")

    assert site.reason() is SsoReason.NOT_CONFIGURED


# Refusals ----------------------------------------------------------------------------------------


def says(site: Site, error: str, description: str, status: int = 400) -> SsoRefused:
    body = json.dumps({"error": error, "error_description": description}).encode()
    site.provider.answers["/token"] = (status, {"content-type": "application/json"}, body)
    return site.refusal()


def test_an_expired_secret_has_its_own_sentence(site: Site) -> None:
    """Entra ID's AADSTS7000222: what to do, not only what it said."""
    refused = says(site, "invalid_client", "AADSTS7000222: The provided client secret keys are expired.", 401)

    assert refused.reason is SsoReason.NOT_CONFIGURED
    assert "expired" in refused.detail
    assert "client secret" in refused.detail
    assert "AADSTS7000222" in refused.detail


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("invalid_client", SsoReason.NOT_CONFIGURED),
        ("unauthorized_client", SsoReason.NOT_CONFIGURED),
        ("invalid_grant", SsoReason.TOKEN_REFUSED),
        ("something_else", SsoReason.TOKEN_REFUSED),
    ],
)
def test_wrong_settings_are_told_apart_from_a_wrong_code(site: Site, error: str, reason: SsoReason) -> None:
    """An admin looks in the right place."""
    refused = says(site, error, "because")

    assert refused.reason is reason
    assert error in refused.detail
    assert "because" in refused.detail


def test_a_refusal_that_repeats_what_was_sent_does_not_show_it(site: Site) -> None:
    """Code, verifier and secret are in no message, whatever the provider writes."""
    site.provider.published[METHODS] = ["client_secret_post"]
    query = site.go()
    text = f"the code {query['code']} of {SECRET} with {'v' * 50} is\r\n bad"
    body = json.dumps({"error": "invalid_grant", "error_description": text}).encode()
    site.provider.answers["/token"] = (400, {}, body)

    with structlog.testing.capture_logs() as logs, pytest.raises(SsoRefused) as caught:
        site.party.finish(query, nonce="nonce-1", code_verifier="v" * 50)

    for secret in (query["code"], SECRET, "v" * 50):
        assert secret not in f"{caught.value} {caught.value.checks} {logs}"
    assert caught.value.detail.isprintable()


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": 5}'])
def test_a_refusal_without_words(site: Site, body: bytes) -> None:
    """Then its status is told."""
    site.provider.answers["/token"] = (400, {}, body)

    refused = site.refusal()

    assert refused.reason is SsoReason.TOKEN_REFUSED
    assert "400" in refused.detail
