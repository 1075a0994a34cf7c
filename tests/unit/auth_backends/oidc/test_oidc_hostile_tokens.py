"""The attack list "OIDC" for a relying party: each token comes from a real provider's token endpoint."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from joserfc.jwk import RSAKey

from auth_backends.oidc.id_tokens import verify_id_token
from auth_backends.sso import SsoReason, SsoRefused
from tests.support.oidc_provider_double import (
    OBJECT_ID,
    OTHER_TENANT,
    TENANT,
    base64url,
    ec_key,
    raw_token,
    rsa_key,
    signed,
)
from tests.support.oidc_site import MakeSite, Site

Claims = dict[str, Any]


def hmac_by(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda data: hmac.new(secret, data, hashlib.sha256).digest()


# Signature and algorithm -------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["none", "None", "NONE", "nOnE", ""])
def test_o1_no_signature(site: Site, spelling: str) -> None:
    """The algorithm none, however it is spelt, with and without a key id."""
    for header in ({"alg": spelling}, {"alg": spelling, "kid": "one", "typ": "JWT"}):
        site.provider.make = lambda claims, header=header: raw_token(header, claims, lambda _: b"")
        assert site.reason() is SsoReason.FORBIDDEN_ALGORITHM


def test_o1_signature_cut_off(site: Site) -> None:
    """A proper header whose signature is gone, or is that of another token."""
    site.provider.make = lambda claims: site.provider.token(claims).rpartition(".")[0] + "."
    assert site.reason() is SsoReason.BAD_SIGNATURE

    other = signed({"sub": "other"}, rsa_key("one")).rpartition(".")[2]
    site.provider.make = lambda claims: f"{site.provider.token(claims).rpartition('.')[0]}.{other}"
    assert site.reason() is SsoReason.BAD_SIGNATURE


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_o2_the_public_key_as_a_shared_secret(site: Site, algorithm: str) -> None:
    """Everybody knows the public key, in PEM, DER and JSON; it must never be a secret."""
    key = rsa_key("one")
    public: list[bytes] = [
        key.as_pem(private=False),
        key.as_der(private=False),
        json.dumps(key.as_dict(private=False)).encode(),
    ]
    for secret in public:
        site.provider.make = lambda claims, secret=secret: raw_token(
            {"alg": algorithm, "kid": "one"}, claims, hmac_by(secret)
        )
        assert site.reason() is SsoReason.FORBIDDEN_ALGORITHM


def test_o2_the_client_secret_as_a_shared_secret(site: Site) -> None:
    """HS256 by the client's own secret is in the standard, and not permitted here."""
    site.provider.make = lambda claims: raw_token(
        {"alg": "HS256"}, claims, hmac_by(site.provider.client_secret.encode())
    )

    assert site.reason() is SsoReason.FORBIDDEN_ALGORITHM


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS512"])
def test_o2_other_algorithms(site: Site, algorithm: str) -> None:
    """A valid signature of an algorithm that is not on the list."""
    site.provider.algorithm = algorithm

    assert site.reason() is SsoReason.FORBIDDEN_ALGORITHM


@pytest.mark.parametrize("algorithm", [None, 5, ["RS256"], {"a": 1}, "rs256", "RS256 "])
def test_o2_an_algorithm_that_is_none(site: Site, algorithm: object) -> None:
    """Whatever stands there, it is no error of ours."""
    site.provider.make = lambda claims: raw_token({"alg": algorithm, "kid": "one"}, claims, lambda _: b"x" * 256)

    assert site.reason() is SsoReason.FORBIDDEN_ALGORITHM


def _certificate_of(key: RSAKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "evil")])
    now = dt.datetime.now(dt.UTC)
    certificate = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key)
    certificate = certificate.serial_number(1).not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    made = certificate.sign(key.private_key, hashes.SHA256())
    from cryptography.hazmat.primitives.serialization import Encoding

    return base64.b64encode(made.public_bytes(Encoding.DER)).decode()


def test_o3_a_key_in_the_header(site: Site) -> None:
    """The attacker's key comes with the token, as jwk, jku, x5u or x5c: not looked at, and no address is asked."""
    evil = rsa_key("evil")
    address = f"{site.provider.origin}/evil-keys"
    public = evil.as_dict(private=False)
    for header in (
        {"jwk": public},
        {"jku": address},
        {"x5u": address},
        {"x5c": [_certificate_of(evil)]},
        {"jwk": public, "jku": address, "x5u": address, "x5c": [_certificate_of(evil)]},
    ):
        site.provider.make = lambda claims, header=header: signed(claims, evil, kid="one", **header)
        assert site.reason() is SsoReason.BAD_SIGNATURE
        site.provider.make = lambda claims, header=header: signed(claims, evil, kid="evil", **header)
        assert site.reason() is SsoReason.UNKNOWN_SIGNING_KEY

    assert site.provider.hits["/evil-keys"] == 0


def test_o3_a_key_in_the_header_of_an_honest_token_does_no_harm(site: Site) -> None:
    """Some providers send x5t or x5c along."""
    certificate = _certificate_of(rsa_key("one"))
    site.provider.make = lambda claims: signed(claims, rsa_key("one"), x5c=[certificate], x5t="abc")

    assert site.sign_in().person.subject == "sub-of-ada"


@pytest.mark.parametrize("header", [{"crit": ["exp"], "exp": 1}, {"crit": ["b64"], "b64": False}, {"b64": False}])
def test_o3_extensions_that_are_not_understood(site: Site, header: Claims) -> None:
    """RFC 7515 section 4.1.11."""
    site.provider.make = lambda claims: signed(claims, rsa_key("one"), **header)

    assert site.reason() is SsoReason.MALFORMED


def test_o4_a_key_of_another_kind_under_the_same_id(site: Site) -> None:
    """An EC signature named after an RSA key."""
    site.provider.make = lambda claims: signed(claims, ec_key("ec"), "ES256", kid="one")

    assert site.reason() is SsoReason.UNKNOWN_SIGNING_KEY


# Nonce and browser -------------------------------------------------------------------------------


@pytest.mark.parametrize("nonce", [None, "", "other", "NONCE-1", "nonce-1 ", 1, ["nonce-1"], "\ud800"])
def test_o5_the_nonce_is_the_flows(site: Site, nonce: object) -> None:
    """Missing, another one, or another kind of thing."""
    site.altered(nonce=nonce)

    assert site.reason() is SsoReason.WRONG_NONCE


def test_o5_an_empty_nonce_is_never_right(site: Site) -> None:
    """A caller that lost its nonce lets nobody in."""
    token = site.provider.token(site.provider.claims(""))
    _, keys = site.party._publications.current()

    with pytest.raises(SsoRefused) as caught:
        verify_id_token(token, client=site.client, keys=keys, nonce="", now=site.clock())

    assert caught.value.reason is SsoReason.WRONG_NONCE


def test_o6_the_answer_of_another_browser_is_worth_nothing(site: Site) -> None:
    """Login CSRF: the attacker's code in the victim's flow, whose nonce and verifier differ."""
    attackers = site.go(nonce="attackers", verifier="a" * 50)

    with pytest.raises(SsoRefused) as caught:
        site.party.finish(attackers, nonce="victims", code_verifier="v" * 50)
    assert caught.value.reason is SsoReason.TOKEN_REFUSED

    attackers = site.go(nonce="attackers", verifier="v" * 50)
    with pytest.raises(SsoRefused) as caught:
        site.party.finish(attackers, nonce="victims", code_verifier="v" * 50)
    assert caught.value.reason is SsoReason.WRONG_NONCE


# Audience, issuer, tenant ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": None},
        {"aud": []},
        {"aud": 5},
        {"aud": "Quaymaster"},
        {"aud": "quaymaster "},
        {"aud": ["another"]},
        {"aud": {"quaymaster": 1}},
        {"aud": ["quaymaster", 5]},
        {"aud": ["quaymaster", "another"]},
        {"aud": ["quaymaster", "another"], "azp": "another"},
        {"aud": "quaymaster", "azp": "another"},
        {"aud": "quaymaster", "azp": ""},
        {"aud": "quaymaster", "azp": ["quaymaster"]},
    ],
)
def test_o9_audience(site: Site, claims: Claims) -> None:
    """The token is for us and made for us (OpenID Connect Core 1.0 section 3.1.3.7, 3 to 5)."""
    site.altered(**claims)

    assert site.reason() is SsoReason.WRONG_AUDIENCE


@pytest.mark.parametrize(
    "claims", [{"aud": ["quaymaster"]}, {"azp": "quaymaster"}, {"aud": ["quaymaster", "api"], "azp": "quaymaster"}]
)
def test_o9_audiences_that_are_ours(site: Site, claims: Claims) -> None:
    """A list of us alone, and a list with others if it was made for us."""
    site.altered(**claims)

    assert site.sign_in().person.subject == "sub-of-ada"


def test_o10_issuer(entra: Site) -> None:
    """Another tenant's, the template, a slash more, another case, none."""
    issuer = entra.provider.issuer
    for said in (
        issuer.replace(TENANT, OTHER_TENANT),
        issuer.replace(TENANT, "{tenantid}"),
        issuer.replace(TENANT, "common"),
        f"{issuer}/",
        issuer.upper(),
        "",
        None,
        5,
        [issuer],
    ):
        entra.altered(iss=said)
        assert entra.reason() is SsoReason.WRONG_ISSUER


@pytest.mark.parametrize("tid", [OTHER_TENANT, "9188040d-6c67-4c5b-b112-36a304b66dad", "", None, 5, [TENANT]])
def test_o10_tenant(entra: Site, tid: object) -> None:
    """The issuer is right, and the person of another tenant, or of none."""
    entra.altered(tid=tid)

    assert entra.reason() is SsoReason.WRONG_TENANT


# Time --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["exp", "iat"])
def test_o11_times_that_are_missing(site: Site, name: str) -> None:
    """The library asks for neither; we do."""
    site.altered(**{name: None})

    assert site.reason() is SsoReason.OUT_OF_TIME


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", ["soon", True, [1], {}, -1, "1900000000"])
def test_o11_times_that_are_none(site: Site, name: str, value: object) -> None:
    """Only numbers are times."""
    site.altered(**{name: value})

    assert site.reason() in {SsoReason.MALFORMED, SsoReason.OUT_OF_TIME}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_o11_a_token_that_never_ends(site: Site, number: str) -> None:
    """No comparison with NaN is true, and infinity never comes."""

    def make(claims: Claims) -> str:
        text = json.dumps(claims | {"exp": "HERE"}).replace('"HERE"', number)
        return _signed_text(text)

    site.provider.make = make

    assert site.reason() in {SsoReason.MALFORMED, SsoReason.OUT_OF_TIME}


def _signed_text(payload: str) -> str:
    proper = signed({}, rsa_key("one"))
    header = json.loads(base64.urlsafe_b64decode(proper.split(".")[0] + "=="))
    from joserfc.jws import JWSRegistry

    return raw_token(header, payload, lambda data: JWSRegistry.algorithms["RS256"].sign(data, rsa_key("one")))


@pytest.mark.parametrize(("ago", "fits"), [(0, True), (179, True), (181, False), (3600, False)])
def test_o11_expiry_with_three_minutes_of_grace(site: Site, ago: int, fits: bool) -> None:  # noqa: FBT001
    """Clocks may differ by 180 s."""
    site.altered(exp=int(site.clock.now) - ago, iat=int(site.clock.now) - 7200, nbf=int(site.clock.now) - 7200)

    if fits:
        assert site.sign_in().person.subject == "sub-of-ada"
    else:
        assert site.reason() is SsoReason.OUT_OF_TIME


@pytest.mark.parametrize("name", ["iat", "nbf"])
@pytest.mark.parametrize(("ahead", "fits"), [(179, True), (181, False)])
def test_o11_tokens_of_the_future(site: Site, name: str, ahead: int, fits: bool) -> None:  # noqa: FBT001
    """Issued, or to be used, later than now by more than 180 s."""
    site.altered(**{name: int(site.clock.now) + ahead})

    if fits:
        assert site.sign_in().person.subject == "sub-of-ada"
    else:
        assert site.reason() is SsoReason.OUT_OF_TIME


# Who ---------------------------------------------------------------------------------------------


def test_o14_mail_and_upn_of_somebody_else(entra: Site) -> None:
    """NOAuth: whoever writes an admin's address into a token is still known by the own oid alone."""
    entra.altered(email="admin@example.org", preferred_username="admin", upn="admin", oid=OTHER_TENANT, sub="x")

    person = entra.sign_in().person

    assert person.subject == OTHER_TENANT
    assert person.login == "admin"


@pytest.mark.parametrize("oid", [None, "", 5, [OBJECT_ID], " ", "a" * 5000, "a\nb"])
def test_o14_without_the_immutable_id_nobody_comes_in(entra: Site, oid: object) -> None:
    """No other claim takes its place."""
    entra.altered(oid=oid)

    assert entra.reason() is SsoReason.SUBJECT_MISSING


@pytest.mark.parametrize("sub", [None, "", 5, [], {}])
def test_o15_without_sub_it_is_no_id_token(entra: Site, sub: object) -> None:
    """OpenID Connect Core 1.0 section 2 demands it."""
    entra.altered(sub=sub)

    assert entra.reason() is SsoReason.SUBJECT_MISSING


def test_o15_the_access_tokens_hash(site: Site) -> None:
    """Where at_hash is said, the access token must be the one that came along."""
    good = base64url(hashlib.sha256(b"access").digest()[:16])
    site.altered(at_hash=good)
    assert site.sign_in().person.subject == "sub-of-ada"

    for bad in (base64url(hashlib.sha256(b"other").digest()[:16]), "", 5, good + "=", "\ud800"):
        site.altered(at_hash=bad)
        assert site.reason() is SsoReason.TOKEN_REFUSED


# Groups ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "groups"),
    [
        ({"groups": ["a", "b", "a"]}, frozenset({"a", "b"})),
        ({"groups": []}, frozenset()),
        ({"groups": None}, None),
        ({"groups": "a"}, frozenset({"a"})),
        ({"groups": ["a", 5]}, None),
        ({"groups": {"a": 1}}, None),
        ({"groups": 5}, None),
        ({"_claim_names": {"groups": "src1"}}, None),
        ({"groups": ["a"], "_claim_names": {"groups": "src1"}}, None),
        ({"hasgroups": True}, None),
        ({"groups": ["a"], "hasgroups": True}, None),
        ({"groups": ["a"], "hasgroups": "true"}, None),
        ({"groups": ["a"], "hasgroups": False}, frozenset({"a"})),
        ({"groups": ["a"], "_claim_names": {"roles": "src1"}}, frozenset({"a"})),
        ({"groups": ["a"], "_claim_names": "groups"}, frozenset({"a"})),
    ],
)
def test_o16_overage_and_odd_groups_are_unknown(entra: Site, claims: Claims, groups: frozenset[str] | None) -> None:
    """None means that nothing may be concluded; an empty list means that there are none."""
    entra.altered(**claims)

    assert entra.sign_in().person.groups == groups


def test_o16_the_address_in_the_overage_claim_is_not_asked(entra: Site) -> None:
    """The token's maker would choose where our requests go."""
    address = f"{entra.provider.origin}/evil-groups"
    entra.altered(_claim_names={"groups": "src1"}, _claim_sources={"src1": {"endpoint": address}})

    verified = entra.sign_in()

    assert verified.groups_overage is True
    assert entra.provider.hits["/evil-groups"] == 0


def test_o16_groups_of_another_claim(make_site: MakeSite) -> None:
    """The claim's name is a setting; overage of it is overage too."""
    site = make_site(groups_claim="memberships")
    site.altered(memberships=["a"], groups=["b"])
    assert site.sign_in().person.groups == frozenset({"a"})

    site.altered(memberships=["a"], _claim_names={"memberships": "src1"})
    assert site.sign_in().person.groups is None


# Form --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b",
        "a.b.c",
        "a.b.c.d.e",
        "é.é.é",
        "eyJhbGciOiJSUzI1NiJ9..",
        "W10.e30.e30",
        "eyJhbGciOiJSUzI1NiIsImtpZCI6NX0.e30.e30",
        " ",
        "{}",
    ],
)
def test_what_is_no_token_is_refused(site: Site, token: str) -> None:
    """No piece of text is an error of ours."""
    site.provider.make = lambda _: token

    assert site.reason() in {
        SsoReason.MALFORMED,
        SsoReason.FORBIDDEN_ALGORITHM,
        SsoReason.BAD_SIGNATURE,
        SsoReason.UNKNOWN_SIGNING_KEY,
    }


@pytest.mark.parametrize("payload", ["", "[]", "5", '"text"', "null", "{", '{"sub":"a","sub":"b"}', "[" * 30_000])
def test_a_signed_payload_that_is_no_object_is_malformed(site: Site, payload: str) -> None:
    """Also what says one thing twice, and what is nested without end."""
    site.provider.make = lambda _: _signed_text(payload)

    assert site.reason() is SsoReason.MALFORMED


def test_a_huge_token_is_refused_before_it_is_read(site: Site) -> None:
    """64 KiB are far above what providers send; the refusal costs nothing."""
    site.altered(blob="x" * 70_000)
    began = time.perf_counter()

    assert site.reason() is SsoReason.TOO_LARGE
    assert time.perf_counter() - began < 2


def test_a_token_of_two_hundred_groups_is_small_enough(entra: Site) -> None:
    """Entra ID's limit for tokens."""
    groups = [f"0f7c1f5e-1111-4222-8333-{number:012}" for number in range(200)]
    entra.altered(groups=groups)

    assert entra.sign_in().person.groups == frozenset(groups)


@pytest.mark.parametrize("kind", ["logout+jwt", "at+jwt", "dpop+jwt", "secevent+jwt"])
def test_another_kind_of_token_is_no_id_token(site: Site, kind: str) -> None:
    """A logout token or an access token of the same provider, signed by the same key (RFC 8725 section 3.11)."""
    site.provider.make = lambda claims: signed(claims, rsa_key("one"), typ=kind)

    assert site.reason() is SsoReason.TOKEN_REFUSED


@pytest.mark.parametrize("kind", [None, "JWT", "jwt"])
def test_an_id_token_may_say_its_kind_or_not(site: Site, kind: str | None) -> None:
    """RFC 7519 section 5.1."""
    site.provider.make = lambda claims: signed(claims, rsa_key("one"), typ=kind)

    assert site.sign_in().person.subject == "sub-of-ada"


def test_claims_for_display_are_text_on_one_line(site: Site) -> None:
    """What is no text is not shown, what moves the cursor does not, and the subject stands in for a login name."""
    site.altered(name="Ada\r\n\x1b[31mRoot", email=["a@b"], preferred_username=5)

    person = site.sign_in().person

    assert person.display_name.isprintable()
    assert person.display_name.startswith("Ada")
    assert person.email == ""
    assert person.login == "sub-of-ada"


def test_refusals_hold_no_token_and_no_secret(site: Site) -> None:
    """What an admin reads is no key to anything."""
    seen: list[str] = []
    site.altered(nonce="other-nonce")
    site.provider.make = lambda claims: seen.append(site.provider.token(claims)) or seen[-1]

    refused = site.refusal()

    text = f"{refused} {refused.detail} {refused.checks}"
    for secret in (*seen, *seen[0].split("."), site.provider.client_secret, "nonce-1", "v" * 50):
        assert secret not in text
