"""What an admin enters at an identity provider so that people can sign in, in the words that its own pages use."""

from __future__ import annotations

from config.settings import Settings
from config.sso import SsoMethod, SsoProvider, SsoVendor
from server.cli.output import note, say, warn
from server.sso.addresses import SsoAddresses, origin_of


def _steps(text: str) -> tuple[str, ...]:
    """Give the paragraphs of a text, each as one line."""
    return tuple(" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))


ENTRA_SAML = _steps(
    """
    Enterprise applications, New application, Create your own application, not in the gallery; or open the one that SCIM
    uses already. Users and groups: assign who may sign in.

    Single sign-on, SAML, Basic SAML Configuration, Edit. Identifier (Entity ID): {entity_id} and Reply URL (Assertion
    Consumer Service URL): {acs} and Logout Url: {slo}. Leave Sign on URL and Relay State empty. Save.

    Attributes & Claims: the claims objectidentifier and tenantid are sent without being asked for; people are linked by
    the former. Add a group claim only if token_groups is on: Groups assigned to the application, source attribute Group
    ID.

    SAML Certificates: Signing Option: Sign SAML assertion (or: response and assertion), algorithm SHA-256. Copy the App
    Federation Metadata Url: quaymaster provider set {name} --metadata-url=URL --tenant=DIRECTORY-ID
    """
)

ENTRA_OIDC = _steps(
    """
    App registrations, New registration, Accounts in this organizational directory only. Redirect URI, platform Web:
    {callback}

    Authentication: Front-channel logout URL: leave empty. Implicit grant: leave both boxes empty.

    Certificates & secrets: New client secret; its value is shown once. Note the day on which it ends.

    Token configuration: add a groups claim only if token_groups is on (Security groups, Group ID). API permissions:
    openid, profile and email of Microsoft Graph, delegated.

    Overview: copy both ids: quaymaster provider set {name} --tenant=DIRECTORY-ID --client-id=APPLICATION-ID
    --client-secret-expires=YYYY-MM-DD --client-secret-stdin
    """
)

OKTA_SAML = _steps(
    """
    Applications, Create App Integration, SAML 2.0. Single sign-on URL: {acs} (used for Recipient and Destination, too)
    and Audience URI (SP Entity ID): {entity_id}

    Attribute Statements: uid, format Unspecified, value user.id; mail: user.email; displayName: user.displayName. The
    user's id never changes; people are linked by it, so do not send an e-mail address as uid.

    Show Advanced Settings: Response and Assertion Signature: Signed, algorithm RSA-SHA256, digest SHA256. For single
    logout: Signature Certificate: that of our metadata, {metadata} ; Enable Single Logout: Single Logout URL {slo} and
    SP Issuer {entity_id}

    Sign On, Metadata URL: quaymaster provider set {name} --metadata-url=URL
    """
)

OKTA_OIDC = _steps(
    """
    Applications, Create App Integration, OIDC, Web Application. Grant type: Authorization Code. Sign-in redirect URI:
    {callback} and Sign-out redirect URI: {signed_out}

    General: Proof Key for Code Exchange: required. Copy the client id and secret: quaymaster provider set {name}
    --issuer=https://YOUR-DOMAIN --client-id=ID --client-secret-stdin
    """
)

ANY_SAML = _steps(
    """
    Give the provider our metadata, {metadata} , or these values: entity ID {entity_id} , assertion consumer service by
    POST {acs} , single logout by redirect or POST {slo} . It must sign its messages of single logout.

    It must sign assertions with RSA or ECDSA and SHA-2, and send an attribute that never changes for a person:
    quaymaster provider set {name} --metadata-url=URL --subject-claim=ATTRIBUTE
    """
)

ANY_OIDC = _steps(
    """
    Register a confidential client with the authorization code flow and PKCE. Redirect URI: {callback} and
    post-logout redirect URI: {signed_out} . Back-channel logout URI, if the provider has it: {back_channel}

    quaymaster provider set {name} --issuer=URL --client-id=ID --client-secret-stdin
    """
)

_GUIDES = {
    (SsoVendor.ENTRA, SsoMethod.SAML): ENTRA_SAML,
    (SsoVendor.ENTRA, SsoMethod.OIDC): ENTRA_OIDC,
    (SsoVendor.OKTA, SsoMethod.SAML): OKTA_SAML,
    (SsoVendor.OKTA, SsoMethod.OIDC): OKTA_OIDC,
    (SsoVendor.GENERIC, SsoMethod.SAML): ANY_SAML,
    (SsoVendor.GENERIC, SsoMethod.OIDC): ANY_OIDC,
}


def setup_view(settings: Settings, name: str, provider: SsoProvider) -> dict[str, object]:
    """Give the values to enter at the provider, and the steps."""
    addresses = SsoAddresses(origin_of(settings), name, provider.entity_id_suffix)
    if provider.method is SsoMethod.SAML:
        values = {
            "entity_id": addresses.entity_id,
            "acs": addresses.acs,
            "slo": addresses.slo,
            "metadata": addresses.metadata,
        }
    else:
        values = {
            "callback": addresses.callback,
            "signed_out": addresses.signed_out,
            "back_channel": addresses.back_channel,
        }
    steps = [step.format(name=name, **values) for step in _GUIDES[provider.vendor, provider.method]]
    return {"name": name, "method": provider.method.value, **values, "steps": steps}


def tell_setup(settings: Settings, name: str, provider: SsoProvider) -> None:
    """Print the steps, each with the values to copy."""
    view = setup_view(settings, name, provider)
    steps = view["steps"]
    for number, step in enumerate(steps if isinstance(steps, list) else [], 1):
        say(f"{number}. {step}")
    note(f"Then try it: quaymaster provider test {name}, and in a browser {origin_of(settings)}/sso/{name}/test")
    if settings.portal.public_url is None:
        warn("portal.public_url is not set: these addresses work on this machine alone. Set it before you copy them.")
    if provider.fingerprints:
        warn(
            "With fingerprints nothing follows a new certificate: people cannot sign in until you name its fingerprint."
        )
