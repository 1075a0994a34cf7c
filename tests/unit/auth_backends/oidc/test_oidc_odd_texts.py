"""Texts that no honest browser and no honest provider sends: they are refused like others, and break nothing."""

from __future__ import annotations

import pytest

from auth_backends.oidc.token_endpoint import MAX_CODE
from auth_backends.sso import SsoReason, SsoRefused
from tests.support.oidc_site import Site

HALF = "\ud800"  # half of a pair, which cannot be written as UTF-8; JSON can say it


@pytest.mark.parametrize("code", ["x" * (MAX_CODE + 1), HALF, "é", "a\nb", "a\0"])
def test_a_code_that_is_none_is_sent_nowhere(site: Site, code: str) -> None:
    """RFC 6749 appendix A.11: printable ASCII."""
    with pytest.raises(SsoRefused) as refused:
        site.party.finish({"code": code}, nonce="n", code_verifier="v" * 43)

    assert refused.value.reason is SsoReason.MALFORMED
    assert site.provider.hits["/token"] == 0


@pytest.mark.parametrize("iss", [HALF, "", "https://evil.example\n"])
def test_an_odd_issuer_of_the_answer_is_a_wrong_one(site: Site, iss: str) -> None:
    """Compared whole."""
    assert site.reason(iss=iss) is SsoReason.WRONG_ISSUER


@pytest.mark.parametrize(
    ("claim", "value", "reason"),
    [
        ("nonce", HALF, SsoReason.WRONG_NONCE),
        ("iss", HALF, SsoReason.WRONG_ISSUER),
        ("aud", HALF, SsoReason.WRONG_AUDIENCE),
        ("azp", HALF, SsoReason.WRONG_AUDIENCE),
        ("sub", HALF, SsoReason.SUBJECT_MISSING),
        ("at_hash", HALF, SsoReason.TOKEN_REFUSED),
        ("at_hash", ["x"], SsoReason.TOKEN_REFUSED),
        ("sub", "ada\0", SsoReason.SUBJECT_MISSING),
        ("sub", " ada", SsoReason.SUBJECT_MISSING),
        ("sub", "a" * 256, SsoReason.SUBJECT_MISSING),
    ],
)
def test_odd_texts_in_claims_are_refused(site: Site, claim: str, value: object, reason: SsoReason) -> None:
    """By the reason of the claim, and never by an error of ours."""
    site.altered(**{claim: value})

    assert site.reason() is reason


@pytest.mark.parametrize("groups", [["g", HALF], ["g", "a\nb"]])
def test_groups_that_are_no_plain_texts_are_unknown(site: Site, groups: list[str]) -> None:
    """Nothing is concluded from a list that is partly unreadable."""
    site.altered(groups=groups)

    assert site.sign_in().person.groups is None


@pytest.mark.parametrize("hasgroups", [[], {"a": 1}, 1, "true"])
def test_a_sign_of_overage_of_any_kind_is_one(site: Site, hasgroups: object) -> None:
    """Entra ID's is a boolean or a text."""
    site.altered(hasgroups=hasgroups, groups=["g"])

    verified = site.sign_in()

    assert (verified.person.groups, verified.groups_overage) == (None, True)


def test_odd_hints_are_sent_as_far_as_they_can_be_written(site: Site) -> None:
    """What a person types into the sign-in page is no error of theirs."""
    url = site.party.begin(state="s", nonce="n", code_verifier="v" * 43, login_hint=f"ada{HALF}&prompt=none")

    assert url.endswith("login_hint=ada%3F%26prompt%3Dnone")
