"""Requests to a provider, and single logout: signed queries, verified over their raw octets."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from auth_backends.saml.documents import NAMES, parsed, text_of
from auth_backends.saml.logout import (
    LogoutRequest,
    LogoutResponse,
    SignedInAs,
    logout_request,
    logout_response,
    read_logout,
)
from auth_backends.saml.parties import IdentityProvider, ServiceProvider
from auth_backends.saml.redirects import verified_message
from auth_backends.saml.requests import new_request_id, sign_in_url
from auth_backends.sso import SsoReason, SsoRefused
from tests.unit.auth_backends.saml.conftest import Bench

WHO = SignedInAs("ann@contoso.test", "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress", "_s1")


def fields_of(url: str) -> dict[str, str]:
    """The query of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query, strict_parsing=True).items()}


def inflated(packed: str) -> bytes:
    """A message as the receiver reads it."""
    return zlib.decompress(base64.b64decode(packed), wbits=-15)


def as_provider(bench: Bench) -> ServiceProvider:
    """The provider as a maker of messages: the same functions serve both sides."""
    idp = bench.signer.idp()
    return ServiceProvider(idp.entity_id, "", "", bench.signer.pair.private_key_pem, bench.signer.pair.certificate_pem)


def to_us(bench: Bench) -> IdentityProvider:
    """Us, as the provider addresses us."""
    return replace(bench.signer.idp(), slo_url=bench.sp.slo_url, slo_response_url=bench.sp.slo_url)


def request_query(bench: Bench, *, signer: ServiceProvider | None = None, name: str = "ann@contoso.test") -> str:
    """A provider's request to sign somebody out, as a raw query."""
    who = replace(WHO, name_id=name)
    maker = signer or as_provider(bench)
    url = logout_request(to_us(bench), maker, who, request_id="id-9", relay_state="back", now=bench.now)
    assert isinstance(url, str)
    return urlsplit(url).query


def read(bench: Bench, query: str, *, now: float | None = None) -> LogoutRequest | LogoutResponse:
    """Verify and read a query as our address for single logout does."""
    idp = bench.signer.idp()
    return read_logout(verified_message(query, idp), idp, bench.sp, bench.now if now is None else now)


def test_ids_are_new_and_begin_with_a_letter() -> None:
    """Entra ID refuses others."""
    ids = {new_request_id() for _ in range(100)}

    assert len(ids) == 100
    assert all(one[0].isalpha() and len(one) >= 40 for one in ids)


def test_a_request_to_sign_in_demands_no_password(bench: Bench) -> None:
    """No RequestedAuthnContext (AADSTS75011), no Subject; our addresses; signed so that another program verifies it."""
    url = sign_in_url(bench.signer.idp(), bench.sp, request_id="id-7", relay_state="a handle", now=bench.now)
    fields = fields_of(url)
    root = parsed(inflated(fields["SAMLRequest"]))

    assert url.startswith(bench.signer.idp().sso_url + "?")
    assert (root.get("ID"), root.get("AssertionConsumerServiceURL")) == ("id-7", bench.sp.acs_url)
    assert text_of(root.find("saml:Issuer", NAMES)) == bench.sp.entity_id
    assert root.find("samlp:RequestedAuthnContext", NAMES) is None
    assert root.get("ForceAuthn") is None
    assert fields["RelayState"] == "a handle"
    assert OneLogin_Saml2_Utils.validate_binary_sign(
        urlsplit(url).query.partition("&Signature=")[0].encode(),
        base64.b64decode(fields["Signature"]),
        bench.sp.certificate_pem,
        fields["SigAlg"],
    )


def test_the_credential_can_be_asked_for_again(bench: Bench) -> None:
    """For test sign-ins."""
    idp = replace(bench.signer.idp(), sso_url="https://login.example/sso?tenant=1")
    url = sign_in_url(idp, bench.sp, request_id="id-7", relay_state="h", now=bench.now, force=True)

    assert parsed(inflated(fields_of(url)["SAMLRequest"])).get("ForceAuthn") == "true"
    assert url.startswith("https://login.example/sso?tenant=1&SAMLRequest=")


def test_a_providers_request_is_read(bench: Bench) -> None:
    """Whom it names, and where the answer goes; it is remembered for as long as it would be believed."""
    said = read(bench, request_query(bench))
    until = float(int(bench.now)) + 600

    assert said == LogoutRequest("id-9", "ann@contoso.test", frozenset({"_s1"}), "back", until)
    with pytest.raises(SsoRefused):
        read(bench, request_query(bench), now=until)


def test_our_answer_is_read_by_the_provider(bench: Bench) -> None:
    """Both directions by one reader: as the provider, against our certificate."""
    url = logout_response(bench.signer.idp(), bench.sp, in_response_to="id-9", relay_state="back", now=bench.now)
    assert isinstance(url, str)
    us = replace(bench.signer.idp(), entity_id=bench.sp.entity_id, certificates=(_der(bench.sp.certificate_pem),))
    at_provider = replace(bench.sp, slo_url=bench.signer.idp().slo_url or "")
    message = verified_message(urlsplit(url).query, us)

    assert read_logout(message, us, at_provider, bench.now) == LogoutResponse("id-9", "back", succeeded=True)


def test_entra_answers_under_its_other_name(bench: Bench) -> None:
    """Its LogoutResponse comes from login.microsoftonline.com; a sign-in never does."""
    other = "https://login.microsoftonline.com/tenant/"
    maker = replace(as_provider(bench), entity_id=other)
    url = logout_response(to_us(bench), maker, in_response_to="id-9", relay_state="", now=bench.now)
    assert isinstance(url, str)
    idp = replace(bench.signer.idp(), logout_issuers=frozenset({other}))
    message = verified_message(urlsplit(url).query, idp)

    assert isinstance(read_logout(message, idp, bench.sp, bench.now), LogoutResponse)
    with pytest.raises(SsoRefused):
        read_logout(message, bench.signer.idp(), bench.sp, bench.now)


def test_where_there_is_no_address_nothing_is_sent(bench: Bench) -> None:
    """A provider without single logout."""
    idp = replace(bench.signer.idp(), slo_url=None, slo_response_url=None)

    assert logout_request(idp, bench.sp, WHO, request_id="id-1", relay_state="", now=bench.now) is None
    assert logout_response(idp, bench.sp, in_response_to="id-1", relay_state="", now=bench.now) is None
    nobody = SignedInAs("", "", "")
    assert (
        logout_request(bench.signer.idp(), bench.sp, nobody, request_id="id-1", relay_state="", now=bench.now) is None
    )


def _drop(name: str) -> Callable[[str], str]:
    return lambda query: "&".join(part for part in query.split("&") if not part.startswith(f"{name}="))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_drop("Signature"), SsoReason.NOT_SIGNED),
        (_drop("SigAlg"), SsoReason.NOT_SIGNED),
        (_drop("SAMLRequest"), SsoReason.MALFORMED),
        (_drop("RelayState"), SsoReason.BAD_SIGNATURE),
        (lambda query: query.replace("RelayState=back", "RelayState=evil"), SsoReason.BAD_SIGNATURE),
        (lambda query: f"{query}&RelayState=evil", SsoReason.MALFORMED),
        (lambda query: f"{query}&SAMLResponse=x", SsoReason.MALFORMED),
        (
            lambda query: query.replace(
                quote("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", safe=""),
                quote("http://www.w3.org/2000/09/xmldsig#rsa-sha1", safe=""),
            ),
            SsoReason.FORBIDDEN_ALGORITHM,
        ),
        (lambda query: query.replace("SAMLRequest=", "SAMLRequest=AAAA"), SsoReason.BAD_SIGNATURE),
        (lambda query: query + "&x=" + "y" * 200_000, SsoReason.TOO_LARGE),
        (lambda query: query.replace("Signature=", "Signature=%21"), SsoReason.MALFORMED),
    ],
    ids=range(11),
)
def test_a_request_that_was_touched_signs_nobody_out(
    bench: Bench, change: Callable[[str], str], reason: SsoReason
) -> None:
    """S26."""
    query = request_query(bench)
    changed = change(query)
    assert changed != query

    with pytest.raises(SsoRefused) as refused:
        read(bench, changed)
    assert refused.value.reason is reason


def test_a_strangers_request_signs_nobody_out(bench: Bench) -> None:
    """S26: signed, but not by the provider."""
    stranger = replace(
        as_provider(bench),
        private_key_pem=bench.stranger.pair.private_key_pem,
        certificate_pem=bench.stranger.pair.certificate_pem,
    )
    with pytest.raises(SsoRefused) as refused:
        read(bench, request_query(bench, signer=stranger))
    assert refused.value.reason is SsoReason.BAD_SIGNATURE


@pytest.mark.parametrize("after_s", [-200.0, 700.0], ids=["of the future", "old"])
def test_a_request_has_its_time(bench: Bench, after_s: float) -> None:
    """Nobody keeps one for later."""
    with pytest.raises(SsoRefused) as refused:
        read(bench, request_query(bench), now=bench.now + after_s)
    assert refused.value.reason is SsoReason.OUT_OF_TIME


def _sealed(bench: Bench, xml: bytes) -> str:
    """A message of any content, rightly signed by the provider."""
    from auth_backends.saml.redirects import signed_address

    return urlsplit(signed_address("https://x.example", "SAMLRequest", xml, "", as_provider(bench))).query


def _logout_xml(bench: Bench, **fields: str) -> bytes:
    values = {
        "tag": "LogoutRequest",
        "issuer": bench.signer.issuer,
        "destination": bench.sp.slo_url,
        "name": "<saml:NameID>ann</saml:NameID>",
        "more": "",
        **fields,
    }
    from auth_backends.saml.documents import moment_text

    return (
        f'<samlp:{values["tag"]} xmlns:samlp="{NAMES["samlp"]}" xmlns:saml="{NAMES["saml"]}" ID="id-1" Version="2.0" '
        f'IssueInstant="{moment_text(bench.now)}" Destination="{values["destination"]}"{values["more"]}>'
        f"<saml:Issuer>{values['issuer']}</saml:Issuer>{values['name']}</samlp:{values['tag']}>"
    ).encode()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"tag": "AuthnRequest"}, SsoReason.MALFORMED),
        ({"issuer": "https://other.example/"}, SsoReason.WRONG_ISSUER),
        ({"destination": "https://other.example/"}, SsoReason.WRONG_DESTINATION),
        ({"name": ""}, SsoReason.SUBJECT_MISSING),
        ({"more": ' NotOnOrAfter="2001-01-01T00:00:00Z"'}, SsoReason.OUT_OF_TIME),
    ],
    ids=["another message", "another issuer", "for others", "nobody", "run out"],
)
def test_a_signed_message_must_also_be_right(bench: Bench, fields: dict[str, str], reason: SsoReason) -> None:
    """What the provider signs for others signs nobody out here."""
    assert isinstance(read(bench, _sealed(bench, _logout_xml(bench))), LogoutRequest)
    with pytest.raises(SsoRefused) as refused:
        read(bench, _sealed(bench, _logout_xml(bench, **fields)))
    assert refused.value.reason is reason


def test_a_compressed_bomb_is_not_inflated(bench: Bench) -> None:
    """A few kilobytes that would become many megabytes."""
    with pytest.raises(SsoRefused) as refused:
        read(bench, _sealed(bench, b" " * 20_000_000))
    assert refused.value.reason is SsoReason.TOO_LARGE


def _der(pem: str) -> bytes:
    return base64.b64decode("".join(pem.strip().splitlines()[1:-1]))
