"""A SAML provider as a party to sign-ins: its metadata, our key, and the verifier."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar
from urllib.parse import urlsplit

from auth_backends.api import Clock
from auth_backends.saml.logout import (
    LogoutResponse,
    SignedInAs,
    logout_request,
    logout_response,
    read_logout,
)
from auth_backends.saml.metadata import own_metadata
from auth_backends.saml.parties import ENTRA_RULES, GENERIC_RULES, IdentityProvider, Rules, ServiceProvider
from auth_backends.saml.posts import posted_message
from auth_backends.saml.redirects import Message, verified_message
from auth_backends.saml.requests import new_request_id, sign_in_url
from auth_backends.saml.verifier import SamlVerifier, VerifiedAssertion
from auth_backends.sso import Form, SsoReason, SsoRefused
from config.settings import Settings
from config.sso import SsoProvider, SsoVendor
from server.sso.addresses import SsoAddresses, origin_of
from server.sso.fetching import fetcher_for
from server.sso.own_key import own_key
from server.sso.party import Carried, Hints, LogoutAnswer, LogoutRequest, Vouched
from server.sso.saml_metadata import SamlMetadata
from storage.database.portal_sessions import LogoutWord
from storage.database.sso_flows import SsoFlow
from storage.database.store import Store

T = TypeVar("T")
_OF_AN_OLD_KEY = frozenset({SsoReason.UNKNOWN_SIGNING_KEY, SsoReason.BAD_SIGNATURE})


class SamlParty:
    """Blocking and thread-safe; see :class:`server.sso.party.Party`."""

    def __init__(
        self, name: str, provider: SsoProvider, settings: Settings, store: Store, *, clock: Clock = time.time
    ) -> None:
        self._name = name
        self._provider = provider
        self._settings = settings
        self._addresses = SsoAddresses(origin_of(settings), name, provider.entity_id_suffix)
        self._rules = rules_of(provider)
        self._clock = clock
        self._known: ServiceProvider | None = None
        self.described = SamlMetadata(name, provider, store, lambda: fetcher_for(provider), clock=clock)

    @property
    def unsolicited(self) -> bool:
        """Whether the provider may begin."""
        return self._provider.idp_initiated

    def new_request(self) -> tuple[str, str]:
        """Give the ID of a new request."""
        return new_request_id(), ""

    def begin(self, flow: SsoFlow, handle: str, hints: Hints, now: float) -> str:
        """Give the address of the signed request."""
        return sign_in_url(
            self.described.provider(),
            self._us(),
            request_id=flow.request_id,
            relay_state=handle,
            now=now,
            force=hints.force,
        )

    def finish(self, answer: Mapping[str, str], flow: SsoFlow | None, now: float) -> Vouched:
        """Verify a response; a certificate that is not known is looked for in the provider's metadata of today."""
        response, request_id = answer.get("SAMLResponse", ""), None if flow is None else flow.request_id

        def verified_by(idp: IdentityProvider) -> VerifiedAssertion:
            return SamlVerifier(idp, self._us(), self._rules).verify(response, request_id=request_id, now=now)

        verified = self._followed(verified_by)
        logout = {
            "name_id": verified.name_id,
            "name_id_format": verified.name_id_format,
            "session_index": verified.session_index or "",
        }
        return Vouched(verified.person, verified.assertion_id, verified.not_on_or_after, logout, verified.checks)

    def sign_out(self, logout: Mapping[str, str], handle: str, request_id: str, now: float) -> str | Form | None:
        """Give the signed request to sign out."""
        who = SignedInAs(logout.get("name_id", ""), logout.get("name_id_format", ""), logout.get("session_index", ""))
        return logout_request(
            self.described.provider(), self._us(), who, request_id=request_id, relay_state=handle, now=now
        )

    def read_logout(self, carried: Carried, now: float) -> LogoutRequest | LogoutAnswer:
        """Verify a message of single logout and read it."""

        def message_of(idp: IdentityProvider) -> Message:
            return verified_message(carried, idp) if isinstance(carried, str) else posted_message(carried, idp)

        message = self._followed(message_of)
        idp = self.described.provider()
        said = read_logout(message, idp, self._us(), now)
        if isinstance(said, LogoutResponse):
            return LogoutAnswer(said.relay_state, said.in_response_to)
        answer = logout_response(idp, self._us(), in_response_to=said.id, relay_state=said.relay_state, now=now)
        named = {"name_id": frozenset({said.name_id})}
        if said.session_indexes:
            named["session_index"] = said.session_indexes
        return LogoutRequest(LogoutWord(self._name, said.id, said.until, named), answer)

    def read_back_channel(self, token: str, now: float) -> LogoutWord:  # noqa: ARG002 - as the protocol has it
        """Refuse: in SAML the browser carries all messages."""
        raise SsoRefused(SsoReason.NOT_CONFIGURED, "the provider speaks SAML")

    def metadata(self) -> bytes:
        """Give our metadata for this provider."""
        return own_metadata(self._us(), by_fingerprint=bool(self._provider.fingerprints))

    def _followed(self, verify: Callable[[IdentityProvider], T]) -> T:
        """Verify by what is known of the provider and, where the key may be new, by its metadata of today."""
        try:
            return verify(self.described.provider())
        except SsoRefused as refused:
            if refused.reason not in _OF_AN_OLD_KEY or not self.described.follow():
                raise
        return verify(self.described.provider())

    def _us(self) -> ServiceProvider:
        if self._known is None:
            host = urlsplit(self._addresses.origin).hostname or "quaymaster"
            pair = own_key(self._settings.saml_key_file, host, self._clock())
            us = self._addresses
            self._known = ServiceProvider(us.entity_id, us.acs, us.slo, pair.private_key_pem, pair.certificate_pem)
        return self._known


def rules_of(provider: SsoProvider) -> Rules:
    """Give what the attributes mean: the vendor's names, and those that an admin chose."""
    rules = ENTRA_RULES if provider.vendor is SsoVendor.ENTRA else GENERIC_RULES
    return replace(
        rules,
        tenant=provider.tenant,
        subject_attribute=provider.subject_claim or rules.subject_attribute,
        login_attribute=provider.login_claim or rules.login_attribute,
        display_name_attribute=provider.name_claim or rules.display_name_attribute,
        email_attribute=provider.email_claim or rules.email_attribute,
        groups_attribute=provider.groups_claim or rules.groups_attribute,
    )
