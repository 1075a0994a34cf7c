"""A sign-in by OpenID Connect from our side: where the browser is sent, and what its answer is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from auth_backends.oidc.authorize import authorization_url
from auth_backends.oidc.checks import CheckList
from auth_backends.oidc.client import OidcClient
from auth_backends.oidc.discovery import Discovery
from auth_backends.oidc.documents import printable, same_text
from auth_backends.oidc.graph import GraphGroups
from auth_backends.oidc.id_tokens import VerifiedIdToken, verify_id_token
from auth_backends.oidc.logout import LogoutToken, logout_url, verify_logout_token
from auth_backends.oidc.publications import Publications
from auth_backends.oidc.token_endpoint import exchange_code, said_no
from auth_backends.outgoing import Fetcher
from auth_backends.sso import Check, SsoReason


class OidcRelyingParty:
    """One client of one provider. Blocking and thread-safe; everything that is not believed raises SsoRefused.

    ``clock`` gives Unix seconds; ``known`` is the last good copy of discovery. ``graph`` is asked for the groups of
    who has too many for a token; without it they stay unknown. State, nonce and verifier belong to the caller: each
    belongs to one browser, serves once, and is kept on our side.
    """

    def __init__(
        self,
        client: OidcClient,
        fetcher: Fetcher,
        clock: Callable[[], float],
        *,
        known: Discovery | None = None,
        graph: GraphGroups | None = None,
    ) -> None:
        self._client = client
        self._fetcher = fetcher
        self._clock = clock
        self._publications = Publications(client, fetcher, clock, known)
        self._graph = graph

    @property
    def known(self) -> Discovery | None:
        """The copy of discovery at hand, for keeping; None before it was first fetched."""
        return self._publications.known

    def begin(
        self,
        *,
        state: str,
        nonce: str,
        code_verifier: str,
        prompt: str | None = None,
        login_hint: str | None = None,
        domain_hint: str | None = None,
    ) -> str:
        """Give the address at the provider where the browser is sent."""
        discovery, _ = self._publications.current()
        return authorization_url(
            self._client,
            discovery,
            state=state,
            nonce=nonce,
            code_verifier=code_verifier,
            prompt=prompt,
            login_hint=login_hint,
            domain_hint=domain_hint,
        )

    def finish(self, params: Mapping[str, str], *, nonce: str, code_verifier: str) -> VerifiedIdToken:
        """Verify the query that the browser came back with, whose ``state`` the caller has found to be its own."""
        discovery, keys = self._publications.current()
        code, checks = self._answered(params, discovery)
        now = self._clock()
        steps = CheckList(checks)
        with steps.watching("code for tokens"):
            tokens = exchange_code(
                self._client, discovery, self._fetcher, code=code, code_verifier=code_verifier, now=now
            )
        verified = verify_id_token(
            tokens.id_token.reveal(),
            client=self._client,
            keys=keys,
            nonce=nonce,
            now=self._clock(),
            access_token=None if tokens.access_token is None else tokens.access_token.reveal(),
            before=steps.done,
        )
        return self._with_groups(verified, discovery)

    def logout_url(self, id_token_hint: str | None, state: str | None) -> str | None:
        """Give the address where the browser signs out at the provider, or None if it has none."""
        discovery, _ = self._publications.current()
        return logout_url(self._client, discovery, id_token_hint, state)

    def read_logout_token(self, token: str) -> LogoutToken:
        """Verify a logout token that somebody posted to us."""
        _, keys = self._publications.current()
        return verify_logout_token(token, client=self._client, keys=keys.for_strangers, now=self._clock())

    def refresh(self) -> Discovery:
        """Fetch discovery and keys now and give the former, for keeping; what was known stays where that fails."""
        return self._publications.refresh()

    def _answered(self, params: Mapping[str, str], discovery: Discovery) -> tuple[str, tuple[Check, ...]]:
        checks = CheckList()
        said = params.get("iss")  # RFC 9207 section 2.4, before anything else is believed: errors may be mixed up too
        missing = said is None and discovery.iss_parameter_supported
        ours = said is None or same_text(said, discovery.issuer)
        complaint = "the answer names no issuer" if missing else f"the answer is of the issuer {printable(said, 200)}"
        checks.demand(
            "issuer of the answer", ours and not missing, SsoReason.WRONG_ISSUER, complaint, said or "not said"
        )
        error = printable(params.get("error"), 60)
        words = said_no(error, printable(params.get("error_description"), 2000))
        checks.demand("provider agrees", "error" not in params, SsoReason.PROVIDER_SAID_NO, words)
        code = params.get("code", "")
        checks.demand("code", bool(code), SsoReason.MALFORMED, "the answer has no code")
        return code, checks.done

    def _with_groups(self, verified: VerifiedIdToken, discovery: Discovery) -> VerifiedIdToken:
        if self._graph is None or not verified.groups_overage:
            return verified
        groups = self._graph.groups(discovery, verified.person.subject)
        detail = "could not be asked" if groups is None else f"{len(groups)} groups"
        return replace(
            verified,
            person=replace(verified.person, groups=groups),
            checks=(*verified.checks, Check("groups by Graph", groups is not None, detail)),
        )
