"""Metadata: what a provider says of itself is read strictly, and what we say of ourselves is read by others."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser
from onelogin.saml2.xml_utils import OneLogin_Saml2_XML

from auth_backends.saml.documents import NAMES, parsed
from auth_backends.saml.metadata import MetadataInvalid, own_metadata, read_metadata
from tests.support.saml_signer import ISSUER, SSO_URL, certificate_der, ec_key_pair, idp_metadata
from tests.unit.auth_backends.saml.conftest import Bench

REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"


def test_entra_like_metadata_are_read(bench: Bench) -> None:
    """All signing certificates count; those of WS-Federation, and encryption keys, do not."""
    told = read_metadata(idp_metadata(bench.signer, bench.stranger.pair), entity_id=ISSUER)

    assert told.provider == replace(
        bench.signer.idp(bench.stranger.pair),
        logout_issuers=frozenset({ISSUER.replace("sts.windows.net", "login.microsoftonline.com")}),
    )
    assert [one.der for one in told.certificates] == [
        certificate_der(bench.signer.pair),
        certificate_der(bench.stranger.pair),
    ]
    assert told.certificates[0].not_before < bench.now < told.certificates[0].not_after
    assert len(told.certificates[0].sha256) == 64


def test_another_program_reads_the_same(bench: Bench) -> None:
    """So that the test's own document is no invention."""
    said = OneLogin_Saml2_IdPMetadataParser.parse(idp_metadata(bench.signer))["idp"]

    assert said["entityId"] == ISSUER
    assert said["singleSignOnService"]["url"] == SSO_URL


def test_one_of_several_providers_is_chosen_by_name(bench: Bench) -> None:
    """Federations publish many in one document."""
    one = idp_metadata(bench.signer).decode()
    other = idp_metadata(replace(bench.stranger, issuer="https://other.example/")).decode()
    both = f'<EntitiesDescriptor xmlns="{NAMES["md"]}">{one}{other}</EntitiesDescriptor>'.encode()

    assert read_metadata(both, entity_id="https://other.example/").provider.entity_id == "https://other.example/"
    with pytest.raises(MetadataInvalid, match="several providers"):
        read_metadata(both)
    with pytest.raises(MetadataInvalid, match="not of https://third"):
        read_metadata(both, entity_id="https://third.example/")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (ISSUER, "https://sts.windows.net/{tenantid}/", "own id"),
        (SSO_URL, "http://login.example/saml2", "not https"),
        (SSO_URL, "javascript:alert(1)", "not https"),
        (REDIRECT, "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST", "no address for signing in"),
        ("IDPSSODescriptor", "SPSSODescriptor", "no identity provider"),
        ("<EntityDescriptor", "<!DOCTYPE x><EntityDescriptor", "DTD"),
        ('use="signing"', 'use="encryption"', "no certificate"),
        ("<ds:X509Certificate>", "<ds:X509Certificate>AAAA", "cannot be read"),
        ("EntityDescriptor", "Other", "no metadata"),
        (SSO_URL, "https://[login.example/saml2", "address that cannot be read"),
        (f'entityID="{ISSUER}', 'entityID="https://[sts.windows.net/', "entity ID cannot be read"),
    ],
    ids=[
        "template",
        "http",
        "script",
        "no redirect",
        "no IdP",
        "DTD",
        "no key",
        "broken key",
        "other document",
        *("bad address", "bad name"),
    ],
)
def test_what_could_lead_elsewhere_is_refused(bench: Bench, old: str, new: str, words: str) -> None:
    """S25: with words for an admin."""
    xml = idp_metadata(bench.signer).decode()
    assert old in xml

    with pytest.raises(MetadataInvalid, match=words):
        read_metadata(xml.replace(old, new).encode())


def test_a_certificate_of_an_unknown_version_is_refused(bench: Bench) -> None:
    """The reader of certificates has an exception of its own for it."""
    good = certificate_der(bench.signer.pair)
    version = good.index(b"\xa0\x03\x02\x01\x02") + 4
    odd = good[:version] + b"\x09" + good[version + 1 :]
    xml = idp_metadata(bench.signer).replace(base64.b64encode(good), base64.b64encode(odd))

    with pytest.raises(MetadataInvalid, match="cannot be read"):
        read_metadata(xml)


def test_a_certificate_with_an_unknown_key_is_refused(bench: Bench) -> None:
    """An admin is told when the metadata are read, and nobody has an error when they sign out."""
    pair = ec_key_pair(bench.now)
    good = certificate_der(pair)
    odd = good.replace(b"\x2a\x86\x48\xce\x3d\x03\x01\x07", b"\x2a\x86\x48\xce\x3d\x03\x01\x7f")  # no curve
    xml = idp_metadata(replace(bench.signer, pair=pair))
    assert len(read_metadata(xml).certificates) == 1

    with pytest.raises(MetadataInvalid, match="cannot be read"):
        read_metadata(xml.replace(base64.b64encode(good), base64.b64encode(odd)))


def test_metadata_of_another_provider_are_refused(bench: Bench) -> None:
    """S25."""
    with pytest.raises(MetadataInvalid, match="not of"):
        read_metadata(idp_metadata(bench.signer), entity_id="https://sts.windows.net/mine/")


@pytest.mark.parametrize("xml", [b"", b"no xml", b"<x/>", b"\xff", b"<a>" * 10], ids=range(5))
def test_anything_else_is_refused(xml: bytes) -> None:
    """Whatever an address answers."""
    with pytest.raises(MetadataInvalid):
        read_metadata(xml)


def test_an_end_of_the_metadata_is_told(bench: Bench) -> None:
    """Who uses them decides."""
    xml = idp_metadata(bench.signer).replace(b"entityID=", b'validUntil="2030-01-01T00:00:00Z" entityID=', 1)

    assert read_metadata(xml).valid_until == 1893456000.0


def test_loopback_may_speak_http(bench: Bench) -> None:
    """Nothing leaves the machine."""
    xml = idp_metadata(bench.signer).decode().replace(SSO_URL, "http://127.0.0.1:8080/sso")

    assert read_metadata(xml.encode()).provider.sso_url == "http://127.0.0.1:8080/sso"


def test_our_own_metadata_are_valid_and_name_our_addresses(bench: Bench) -> None:
    """By the schema of the standard."""
    xml = own_metadata(bench.sp)
    root = parsed(xml)

    assert not isinstance(OneLogin_Saml2_XML.validate_xml(xml, "saml-schema-metadata-2.0.xsd", False), str)
    assert root.get("entityID") == bench.sp.entity_id
    assert root.find(".//md:AssertionConsumerService", NAMES).get("Location") == bench.sp.acs_url
    sign_outs = [(one.get("Binding"), one.get("Location")) for one in root.iterfind(".//md:SingleLogoutService", NAMES)]
    assert sign_outs == [(REDIRECT, bench.sp.slo_url), (POST, bench.sp.slo_url)]
    shown = {one.text for one in root.iter(f"{{{NAMES['ds']}}}X509Certificate")}
    lines = bench.sp.certificate_pem.strip().splitlines()[1:-1]
    assert shown == {"".join(lines)}
    assert base64.b64decode(shown.pop())


def test_who_is_known_by_a_fingerprint_signs_out_by_post_alone(bench: Bench) -> None:
    """The certificate of a query is unknown; a message in a form shows it."""
    root = parsed(own_metadata(bench.sp, by_fingerprint=True))

    assert [one.get("Binding") for one in root.iterfind(".//md:SingleLogoutService", NAMES)] == [POST]


SIGN_OUT = f'<SingleLogoutService Binding="{REDIRECT}" Location="{SSO_URL}"/>'


@pytest.mark.parametrize(
    ("services", "addresses"),
    [
        ("", (None, None, None, None)),
        (f'<SingleLogoutService Binding="{POST}" Location="https://a/"/>', (None, None, "https://a/", "https://a/")),
        (
            f'<SingleLogoutService Binding="{POST}" Location="https://a/" ResponseLocation="https://b/"/>{SIGN_OUT}',
            (SSO_URL, SSO_URL, "https://a/", "https://b/"),
        ),
        (
            f'<SingleLogoutService Binding="{REDIRECT}" Location="https://a/" ResponseLocation="https://b/"/>',
            ("https://a/", "https://b/", None, None),
        ),
        ('<SingleLogoutService Binding="urn:x:soap" Location="https://a/"/>', (None, None, None, None)),
    ],
    ids=["none", "POST", "both", "redirect", "another"],
)
def test_where_people_sign_out_by_either_binding(
    bench: Bench, services: str, addresses: tuple[str | None, ...]
) -> None:
    """Answers have an address of their own where one is named (saml-metadata-2.0-os section 2.2.2)."""
    said = read_metadata(idp_metadata(bench.signer).decode().replace(SIGN_OUT, services).encode()).provider

    assert (said.slo_url, said.slo_response_url, said.slo_post_url, said.slo_post_response_url) == addresses


@pytest.mark.parametrize("attribute", ["Location", "ResponseLocation"])
def test_nobody_is_sent_to_post_without_tls(bench: Bench, attribute: str) -> None:
    """The form holds a signed message and a name."""
    service = f'<SingleLogoutService Binding="{POST}" Location="https://a/" ResponseLocation="https://a/"/>'
    hostile = service.replace(f' {attribute}="https', f' {attribute}="http')

    with pytest.raises(MetadataInvalid, match="not https"):
        read_metadata(idp_metadata(bench.signer).decode().replace(SIGN_OUT, hostile).encode())
