"""What is taken from a discovery document, and what makes it unusable."""

from __future__ import annotations

import json

import pytest

from auth_backends.oidc.discovery import Discovery, discovery_of, may_name
from auth_backends.sso import SsoReason, SsoRefused

ISSUER = "https://id.example.org"
HERE = "http://127.0.0.1:8080"
DOCUMENT: dict[str, object] = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize?tenant=a",
    "token_endpoint": "https://token.example.net/token",
    "jwks_uri": f"{ISSUER}/keys",
    "end_session_endpoint": f"{ISSUER}/logout",
    "userinfo_endpoint": f"{ISSUER}/userinfo",
    "authorization_response_iss_parameter_supported": True,
    "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
    "token_endpoint_auth_signing_alg_values_supported": ["PS256"],
    "code_challenge_methods_supported": ["plain", "S256"],
    "id_token_signing_alg_values_supported": ["RS256", "none"],
}
NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")


def document(**members: object) -> str:
    return json.dumps({name: value for name, value in (DOCUMENT | members).items() if value is not None})


def test_a_document_is_read() -> None:
    """With everything that the flow needs; the token endpoint may be on another host."""
    assert discovery_of(document(), ISSUER) == Discovery(
        issuer=ISSUER,
        authorization_endpoint=f"{ISSUER}/authorize?tenant=a",
        token_endpoint="https://token.example.net/token",
        jwks_uri=f"{ISSUER}/keys",
        end_session_endpoint=f"{ISSUER}/logout",
        userinfo_endpoint=f"{ISSUER}/userinfo",
        iss_parameter_supported=True,
        token_auth_methods=("client_secret_post", "private_key_jwt"),
        token_auth_algorithms=("PS256",),
    )


@pytest.mark.parametrize("members", [{}, {"end_session_endpoint": None, "userinfo_endpoint": None}])
def test_a_kept_copy_says_the_same(members: dict[str, object]) -> None:
    """What is written down is read again by the same rules."""
    read = discovery_of(document(**members), ISSUER)

    assert discovery_of(read.to_json(), ISSUER) == read


def test_a_kept_copy_of_another_issuer_is_refused() -> None:
    """Somebody changed the settings since."""
    kept = discovery_of(document(), ISSUER).to_json()

    with pytest.raises(SsoRefused) as refused:
        discovery_of(kept, "https://other.example.org")

    assert refused.value.reason is SsoReason.WRONG_ISSUER


@pytest.mark.parametrize("issuer", [f"{ISSUER}/", "https://ID.example.org", "http://id.example.org", None, [ISSUER]])
def test_the_issuer_is_ours_letter_by_letter(issuer: object) -> None:
    """Or one provider could answer for another (mix-up)."""
    with pytest.raises(SsoRefused) as refused:
        discovery_of(document(issuer=issuer), ISSUER)

    assert refused.value.reason is SsoReason.WRONG_ISSUER


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize(
    "address",
    [None, 7, "", "http://id.example.org/x", "javascript:alert(1)", "//id.example.org", f"{HERE}/x", "https://u@h/x"],
)
def test_what_the_flow_needs_is_at_https_addresses(name: str, address: object) -> None:
    """An address that a browser or we are sent to is never plain, of this machine, or a script."""
    with pytest.raises(SsoRefused) as refused:
        discovery_of(document(**{name: address}), ISSUER)

    assert refused.value.reason is SsoReason.MALFORMED
    assert name in refused.value.detail


@pytest.mark.parametrize("name", ["end_session_endpoint", "userinfo_endpoint"])
@pytest.mark.parametrize("address", ["", "http://id.example.org/x", 7, "javascript:alert(1)"])
def test_what_is_not_needed_and_cannot_be_used_is_left_out(name: str, address: object) -> None:
    """Sign-in goes on without it."""
    assert getattr(discovery_of(document(**{name: address}), ISSUER), name) is None


@pytest.mark.parametrize("methods", [["plain"], ["S512", "plain"]])
def test_a_provider_without_s256_is_refused(methods: list[str]) -> None:
    """RFC 7636: a plain challenge is the verifier itself."""
    with pytest.raises(SsoRefused) as refused:
        discovery_of(document(code_challenge_methods_supported=methods), ISSUER)

    assert refused.value.reason is SsoReason.NOT_CONFIGURED
    assert "S256" in refused.value.detail


def test_a_provider_that_says_nothing_of_pkce_is_taken() -> None:
    """Entra ID does not publish it, and does it."""
    assert discovery_of(document(code_challenge_methods_supported=None), ISSUER).token_endpoint


def test_a_provider_that_signs_by_shared_secrets_only_is_refused_with_its_algorithms() -> None:
    """So that an admin reads why before anybody signs in."""
    with pytest.raises(SsoRefused) as refused:
        discovery_of(document(id_token_signing_alg_values_supported=["HS256", "none"]), ISSUER)

    assert refused.value.reason is SsoReason.NOT_CONFIGURED
    assert "HS256" in refused.value.detail


def test_lists_that_are_none_are_empty() -> None:
    """And what is no text in a list is left out."""
    read = discovery_of(
        document(
            token_endpoint_auth_methods_supported="client_secret_basic",
            token_endpoint_auth_signing_alg_values_supported=["PS256", 7],
        ),
        ISSUER,
    )

    assert (read.token_auth_methods, read.token_auth_algorithms) == ((), ("PS256",))


@pytest.mark.parametrize("said", [None, "true", 1, False])
def test_only_a_plain_true_says_that_answers_name_their_issuer(said: object) -> None:
    """RFC 9207 section 3."""
    answer = discovery_of(document(authorization_response_iss_parameter_supported=said), ISSUER)

    assert answer.iss_parameter_supported is False


@pytest.mark.parametrize(
    ("issuer", "address", "allowed"),
    [
        (ISSUER, "https://anything.example/x", True),
        (ISSUER, "http://127.0.0.1/x", False),
        (HERE, "http://127.0.0.1:9/x", True),
        (HERE, "http://localhost/x", True),
        (HERE, "http://10.0.0.1/x", False),
        (HERE, "https://id.example.org/x", True),
        (ISSUER, "https://h/x#f", False),
        (ISSUER, "https://h\\@evil/x", False),
        (ISSUER, "https://h/\tx", False),
        (ISSUER, "https://[::1/x", False),
        (ISSUER, "https://", False),
    ],
)
def test_which_addresses_an_issuer_may_name(issuer: str, address: str, allowed: bool) -> None:  # noqa: FBT001 - a parameter of the table
    """Plain http only on this machine, and only for an issuer that is there too."""
    assert may_name(issuer, address) is allowed
