"""The one list of algorithms, at the binding that verifies octets: each of them, by keys of its own kind only."""

from __future__ import annotations

import base64
from dataclasses import replace
from urllib.parse import quote, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from auth_backends.saml.algorithms import SIGNATURES, is_signed_by
from auth_backends.saml.redirects import signed_address, verified_message
from auth_backends.saml.signatures import fingerprint_of
from auth_backends.sso import SsoReason, SsoRefused
from tests.support.saml_signer import ec_key_pair
from tests.unit.auth_backends.saml.conftest import Bench

SIGNED = b"SAMLRequest=x&SigAlg=y"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
HASHES = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
CURVES = [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()]


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    """A key that takes a while to make."""
    return rsa.generate_private_key(65537, 2048)


def plain(signature: bytes, curve: ec.EllipticCurve) -> bytes:
    """Give r and s one behind the other, as RFC 6931 section 2.3.6 has them."""
    size = (curve.key_size + 7) // 8
    return b"".join(number.to_bytes(size) for number in decode_dss_signature(signature))


@pytest.mark.parametrize("name", HASHES)
@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_curves_in_both_forms(curve: ec.EllipticCurve, name: str) -> None:
    """As the RFC writes them, and as Java's makers do; another hash, text or key is not what was signed."""
    key, other = ec.generate_private_key(curve), ec.generate_private_key(curve)
    der = key.sign(SIGNED, ec.ECDSA(HASHES[name]))
    wrong_hash = "sha256" if name != "sha256" else "sha512"
    for signature in (der, plain(der, curve)):
        assert is_signed_by(key.public_key(), f"{MORE}ecdsa-{name}", signature, SIGNED)
        assert not is_signed_by(key.public_key(), f"{MORE}ecdsa-{wrong_hash}", signature, SIGNED)
        assert not is_signed_by(key.public_key(), f"{MORE}ecdsa-{name}", signature, SIGNED + b"x")
        assert not is_signed_by(other.public_key(), f"{MORE}ecdsa-{name}", signature, SIGNED)


@pytest.mark.parametrize("name", HASHES)
def test_rsa(rsa_key: rsa.RSAPrivateKey, name: str) -> None:
    """With PKCS #1 v1.5, as the identifiers say; not with PSS, and not with another hash."""
    signature = rsa_key.sign(SIGNED, padding.PKCS1v15(), HASHES[name])
    pss = rsa_key.sign(SIGNED, padding.PSS(padding.MGF1(HASHES[name]), 32), HASHES[name])
    wrong_hash = "sha256" if name != "sha256" else "sha512"

    assert is_signed_by(rsa_key.public_key(), f"{MORE}rsa-{name}", signature, SIGNED)
    assert not is_signed_by(rsa_key.public_key(), f"{MORE}rsa-{wrong_hash}", signature, SIGNED)
    assert not is_signed_by(rsa_key.public_key(), f"{MORE}rsa-{name}", pss, SIGNED)


@pytest.mark.parametrize("signature", [b"", b"\0" * 64, b"\x30\x06\x02\x01\x00\x02\x01\x00", b"\xff" * 64, b"x" * 300])
def test_what_is_no_signature_is_none(rsa_key: rsa.RSAPrivateKey, signature: bytes) -> None:
    """Zeros in particular (CVE-2022-21449), and what no parser reads."""
    key = ec.generate_private_key(ec.SECP256R1())

    assert not is_signed_by(key.public_key(), f"{MORE}ecdsa-sha256", signature, SIGNED)
    assert not is_signed_by(rsa_key.public_key(), f"{MORE}rsa-sha256", signature, SIGNED)


def test_a_key_counts_for_its_own_kind_alone(rsa_key: rsa.RSAPrivateKey) -> None:
    """And for nothing that is not on the list."""
    curve = ec.generate_private_key(ec.SECP256R1())
    by_rsa = rsa_key.sign(SIGNED, padding.PKCS1v15(), hashes.SHA256())
    by_curve = curve.sign(SIGNED, ec.ECDSA(hashes.SHA256()))
    weak = rsa_key.sign(SIGNED, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - it must be refused

    assert not is_signed_by(rsa_key.public_key(), f"{MORE}ecdsa-sha256", by_rsa, SIGNED)
    assert not is_signed_by(curve.public_key(), f"{MORE}rsa-sha256", by_curve, SIGNED)
    assert not is_signed_by(rsa_key.public_key(), "http://www.w3.org/2000/09/xmldsig#rsa-sha1", weak, SIGNED)
    assert not any("sha1" in one for one in SIGNATURES)


def _query(bench: Bench, key: ec.EllipticCurvePrivateKey) -> str:
    """A request by redirect, signed anew by a key on a curve."""
    url = signed_address("https://x.example", "SAMLRequest", b"<x/>", "back", bench.sp)
    signed = urlsplit(url).query.partition("&Signature=")[0].replace("rsa-sha256", "ecdsa-sha256")
    signature = plain(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())), ec.SECP256R1())
    return f"{signed}&Signature={quote(base64.b64encode(signature).decode(), safe='')}"


def test_a_query_that_a_curve_has_signed(bench: Bench) -> None:
    """By a certificate of the provider's, beside one with an RSA key; by another it is refused."""
    pair = ec_key_pair(bench.now)
    key = serialization.load_pem_private_key(pair.private_key_pem.reveal().encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    both = bench.signer.idp(pair)
    message = verified_message(_query(bench, key), both)

    assert (message.kind, message.root.tag, message.relay_state) == ("SAMLRequest", "x", "back")
    with pytest.raises(SsoRefused) as refused:
        verified_message(_query(bench, ec.generate_private_key(ec.SECP256R1())), both)
    assert refused.value.reason is SsoReason.BAD_SIGNATURE


def test_a_query_shows_no_certificate_for_a_fingerprint(bench: Bench) -> None:
    """It is refused with words that help an admin."""
    url = signed_address("https://x.example", "SAMLRequest", b"<x/>", "back", bench.sp)
    der = x509.load_pem_x509_certificate(bench.sp.certificate_pem.encode()).public_bytes(serialization.Encoding.DER)
    idp = replace(bench.signer.idp(), certificates=(), fingerprints=frozenset({fingerprint_of(der)}))

    with pytest.raises(SsoRefused, match="HTTP POST") as refused:
        verified_message(urlsplit(url).query, idp)
    assert refused.value.reason is SsoReason.UNKNOWN_SIGNING_KEY
