"""The attack list "OIDC" by tokens from a provider's token endpoint: who it is, and in which groups."""

from __future__ import annotations

import hashlib

import pytest

from auth_backends.sso import SsoReason
from tests.support.oidc_provider_double import OBJECT_ID, OTHER_TENANT, Claims, base64url
from tests.support.oidc_site import MakeSite, Site


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


def test_a_token_of_two_hundred_groups_is_small_enough(entra: Site) -> None:
    """Entra ID's limit for tokens."""
    groups = [f"0f7c1f5e-1111-4222-8333-{number:012}" for number in range(200)]
    entra.altered(groups=groups)

    assert entra.sign_in().person.groups == frozenset(groups)


def test_claims_for_display_are_text_on_one_line(site: Site) -> None:
    """What is no text is not shown, what moves the cursor does not, and the subject stands in for a login name."""
    site.altered(name="Ada\r\n\x1b[31mRoot", email=["a@b"], preferred_username=5)

    person = site.sign_in().person

    assert person.display_name.isprintable()
    assert person.display_name.startswith("Ada")
    assert person.email == ""
    assert person.login == "sub-of-ada"
