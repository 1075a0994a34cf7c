"""An OpenID provider as a party to sign-ins: the code flow, and sign-out begun by us."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping

from auth_backends.api import Clock, Secret
from auth_backends.oidc.authorize import new_code_verifier
from auth_backends.oidc.client import OidcClient
from auth_backends.oidc.discovery import Discovery, discovery_of
from auth_backends.oidc.graph import GraphGroups
from auth_backends.oidc.relying_party import OidcRelyingParty
from auth_backends.sso import SsoReason, SsoRefused
from config.settings import Settings
from config.sso import SsoProvider, SsoVendor
from server.sso.addresses import SsoAddresses, origin_of
from server.sso.fetching import fetcher_for
from server.sso.party import Carried, Hints, LogoutAnswer, LogoutRequest, Vouched
from storage.database.portal_sessions import LogoutWord
from storage.database.sso_flows import SsoFlow
from storage.database.store import Store

NONCE_BYTES = 32
MAX_HINT = 16 * 1024


class OidcParty:
    """Blocking and thread-safe; see :class:`server.sso.party.Party`."""

    def __init__(
        self, name: str, provider: SsoProvider, settings: Settings, store: Store, *, clock: Clock = time.time
    ) -> None:
        self._name = name
        self._issuer = provider.oidc_issuer or ""
        self._store = store
        client, fetcher = client_of(provider, SsoAddresses(origin_of(settings), name)), fetcher_for(provider)
        self._skew_s = client.max_skew_s
        graph = GraphGroups(client, fetcher, clock) if provider.graph_groups else None
        self._kept = self._last_good()
        self.relying_party = OidcRelyingParty(client, fetcher, clock, known=self._kept, graph=graph)

    @property
    def unsolicited(self) -> bool:
        """Never: an answer belongs to the state and nonce of a request of ours."""
        return False

    def new_request(self) -> tuple[str, str]:
        """Give a nonce and a PKCE verifier."""
        return secrets.token_urlsafe(NONCE_BYTES), new_code_verifier()

    def begin(self, flow: SsoFlow, handle: str, hints: Hints, now: float) -> str:
        """Give the address of the authorization request."""
        address = self.relying_party.begin(
            state=handle,
            nonce=flow.request_id,
            code_verifier=flow.code_verifier,
            prompt="login" if hints.force else None,
            login_hint=hints.login or None,
        )
        self._keep(now)
        return address

    def finish(self, answer: Mapping[str, str], flow: SsoFlow | None, now: float) -> Vouched:
        """Exchange the code and verify the ID token."""
        if flow is None:
            raise SsoRefused(SsoReason.UNSOLICITED, "nobody here has begun a sign-in")
        verified = self.relying_party.finish(answer, nonce=flow.request_id, code_verifier=flow.code_verifier)
        self._keep(now)
        hint = verified.token.reveal()
        logout = {
            "id_token_hint": hint if len(hint) <= MAX_HINT else "",
            "sub": verified.sub,
            "sid": verified.sid or "",
        }
        until = verified.expires_at + self._skew_s  # until then a token that has run out is forgiven
        return Vouched(verified.person, verified.token_id, until, logout, verified.checks)

    def sign_out(self, logout: Mapping[str, str], handle: str, request_id: str, now: float) -> str | None:  # noqa: ARG002 - as the protocol has it
        """Give the address of RP-initiated logout, if the provider has one."""
        return self.relying_party.logout_url(logout.get("id_token_hint") or None, handle)

    def read_logout(self, carried: Carried, now: float) -> LogoutRequest | LogoutAnswer:  # noqa: ARG002 - as the protocol has it
        """Refuse: these are messages of SAML."""
        raise SsoRefused(SsoReason.NOT_CONFIGURED, "the provider speaks OpenID Connect")

    def read_back_channel(self, token: str, now: float) -> LogoutWord:
        """Verify a logout token: it ends the session of its ``sid``, or all of its ``sub`` where it names none."""
        said = self.relying_party.read_logout_token(token)
        self._keep(now)
        named = {name: frozenset({value}) for name, value in (("sub", said.sub), ("sid", said.sid)) if value}
        return LogoutWord(self._name, f"logout {said.token_id}", said.expires_at + self._skew_s, named)

    def metadata(self) -> bytes:
        """Refuse: there is no such document in OpenID Connect."""
        raise SsoRefused(SsoReason.NOT_CONFIGURED, "the provider speaks OpenID Connect")

    def refresh(self, now: float) -> None:
        """Fetch what the provider says of itself, and keep it. Raises SsoRefused."""
        self.relying_party.refresh()
        self._keep(now)

    def _last_good(self) -> Discovery | None:
        """Give what the provider said last, so that a start while it is away finds it."""
        kept = self._store.sso_kept.of(self._name, self._issuer)
        if kept is None or not kept.body:
            return None
        try:
            return discovery_of(kept.body, self._issuer)
        except SsoRefused:
            return None

    def _keep(self, now: float) -> None:
        known = self.relying_party.known
        if known is not None and known != self._kept:
            self._store.sso_kept.put(self._name, self._issuer, known.to_json(), now)
            self._kept = known


def client_of(provider: SsoProvider, addresses: SsoAddresses) -> OidcClient:
    """Make the client of a provider's settings. Raises SsoRefused, with words for an admin."""
    entra = provider.vendor is SsoVendor.ENTRA
    secret = Secret(provider.client_secret) if provider.client_secret else None
    return OidcClient(
        issuer=provider.oidc_issuer or "",
        client_id=provider.client_id or "",
        redirect_uri=addresses.callback,
        client_secret=secret,
        private_key_pem=_private_key(provider),
        post_logout_redirect_uri=addresses.signed_out,
        tenant=provider.tenant,
        subject_claim=provider.subject_claim or ("oid" if entra else "sub"),
        login_claim=provider.login_claim or "preferred_username",
        display_name_claim=provider.name_claim or "name",
        email_claim=provider.email_claim or "email",
        groups_claim=provider.groups_claim or "groups",
    )


def _private_key(provider: SsoProvider) -> Secret | None:
    if provider.private_key_file is None:
        return None
    try:
        return Secret(provider.private_key_file.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError) as error:
        path = provider.private_key_file
        raise SsoRefused(SsoReason.NOT_CONFIGURED, f"the key file {path} cannot be read: {error}") from None
