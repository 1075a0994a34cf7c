"""Puts the portal's sign-in together. The libraries of a protocol are loaded for the first provider that speaks it."""

from __future__ import annotations

from auth_backends.broker import Broker
from config.settings import Settings
from config.sso import SsoMethod, SsoProvider
from server.portal import Portal
from server.providers import ProviderBook
from server.sign_in import SignIn
from server.sso.desk import SingleSignOn
from server.sso.party import Party
from server.sso.providers import SignInProviders
from server.sso.sign_in import SsoSignIn
from server.sso.sign_out import SsoSignOut
from storage.database.store import Store


def single_sign_on(store: Store, settings: Settings, broker: Broker, sign_in: SignIn) -> SingleSignOn:
    """Make the portal's sign-in."""

    def saml(name: str, provider: SsoProvider) -> Party:
        from server.sso.saml_party import SamlParty  # noqa: PLC0415 - see above

        return SamlParty(name, provider, settings, store)

    def oidc(name: str, provider: SsoProvider) -> Party:
        from server.sso.oidc_party import OidcParty  # noqa: PLC0415 - see above

        return OidcParty(name, provider, settings, store)

    book = ProviderBook(store, settings)
    providers = SignInProviders(book, {SsoMethod.SAML: saml, SsoMethod.OIDC: oidc})
    portal = Portal(store, broker, settings.portal, is_gone=providers.is_gone)
    return SingleSignOn(
        portal, providers, SsoSignIn(store, providers, sign_in, portal), SsoSignOut(store, providers, portal)
    )
