"""A provider and our relying party at it, with a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from auth_backends.api import Secret
from auth_backends.oidc.client import OidcClient
from auth_backends.oidc.id_tokens import VerifiedIdToken
from auth_backends.oidc.relying_party import OidcRelyingParty
from auth_backends.outgoing import Fetcher
from auth_backends.sso import SsoReason, SsoRefused
from tests.support.oidc_provider_double import SECRET, Provider

CALLBACK = "https://files.example.org/auth/oidc/callback"
AFTER_LOGOUT = "https://files.example.org/auth/oidc/signed-out"


class Clock:
    """Unix seconds that move when the test says so."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def client_of(provider: Provider, **changes: Any) -> OidcClient:
    """Give the client that the provider knows."""
    plain = OidcClient(
        issuer=provider.issuer,
        client_id=provider.client_id,
        client_secret=Secret(SECRET),
        private_key_pem=None,
        redirect_uri=CALLBACK,
        post_logout_redirect_uri=AFTER_LOGOUT,
    )
    return replace(plain, **changes)


@dataclass
class Site:
    """A provider and our relying party at it."""

    provider: Provider
    clock: Clock
    client: OidcClient
    fetcher: Fetcher
    party: OidcRelyingParty

    def sign_in(self, nonce: str = "nonce-1", verifier: str = "v" * 50, **callback: str) -> VerifiedIdToken:
        """Go the whole way: to the provider, back with its code, and to its token endpoint."""
        query = self.go(nonce, verifier)
        return self.party.finish({**query, **callback}, nonce=nonce, code_verifier=verifier)

    def go(self, nonce: str = "nonce-1", verifier: str = "v" * 50) -> dict[str, str]:
        """Be the browser: give the query that it comes back with."""
        return self.provider.browse(self.party.begin(state="state-1", nonce=nonce, code_verifier=verifier))

    def refusal(self, **callback: str) -> SsoRefused:
        """Sign in and expect to be refused; the last check listed is the one that failed."""
        with pytest.raises(SsoRefused) as caught:
            self.sign_in(**callback)
        failed = [check for check in caught.value.checks if not check.passed]
        assert failed == list(caught.value.checks[-1:])
        return caught.value

    def reason(self, **callback: str) -> SsoReason:
        """Give the reason of a refused sign-in."""
        return self.refusal(**callback).reason

    def altered(self, **claims: Any) -> None:
        """Let the next tokens have these claims; None leaves one out."""
        self.provider.alter = lambda proper: {
            name: value for name, value in {**proper, **claims}.items() if value is not None
        }


MakeSite = Callable[..., Site]
