"""The staged test of signing in at an identity provider: what can be asked of it without a person."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from auth_backends.outgoing import Fetched, FetchFailed
from auth_backends.saml.metadata import MAX_METADATA, IdpMetadata, MetadataInvalid, read_metadata
from auth_backends.sso import SsoRefused
from config.settings import Settings
from config.sso import SsoMethod, SsoProvider
from server.cli.checks.check import Check, fail, ok, warn
from server.sso.addresses import SsoAddresses, origin_of
from server.sso.care import DAY_S, WARN_DAYS, secret_end
from server.sso.fetching import fetcher_for
from server.sso.own_key import own_key

MAX_SKEW_S = 120.0


def check_sign_in(name: str, provider: SsoProvider, settings: Settings) -> Iterator[Check]:
    """Ask the provider what it publishes, and hold it against the settings; each step as it ends."""
    if not provider.signs_in:
        yield ok("sign-in", "not set up here; see: quaymaster provider show NAME --setup")
        return
    if settings.portal.public_url is None:
        yield warn(
            "address", f"people are told {origin_of(settings)}", "set portal.public_url to the site's own address"
        )
    if provider.method is SsoMethod.OIDC:
        yield from _oidc(name, provider, settings)
    else:
        yield from _saml(provider, settings)


def _saml(provider: SsoProvider, settings: Settings) -> Iterator[Check]:
    try:
        own_key(settings.saml_key_file, "quaymaster", time.time())
    except SsoRefused as refused:
        yield fail("our key", refused.detail, "let the server's user read it, or remove it to have a new one made")
    else:
        yield ok("our key", str(settings.saml_key_file))
    if provider.fingerprints:
        yield warn(
            "metadata",
            f"{len(provider.fingerprints)} fingerprints in place of metadata",
            "nothing follows a new certificate; use --metadata-url if the provider has one",
        )
        return
    try:
        if provider.metadata_url is not None:
            fetched = fetcher_for(provider).get(provider.metadata_url, max_bytes=MAX_METADATA)
            yield from _clock(fetched)
            body = fetched.body
        else:
            body = provider.metadata_file.read_bytes() if provider.metadata_file else b""
        told = read_metadata(body, entity_id=provider.idp_entity_id)
    except (FetchFailed, MetadataInvalid, OSError) as error:
        yield fail("metadata", str(error), "compare the address or file with what the provider shows")
        return
    yield ok("metadata", f"{told.provider.entity_id}, people sign in at {told.provider.sso_url}")
    yield from _certificates(told)


def _certificates(told: IdpMetadata) -> Iterator[Check]:
    now = time.time()
    for one in told.certificates:
        left = (one.not_after - now) / DAY_S
        what = f"SHA-256 {one.sha256}, {left:.0f} days left"
        if left < 0:
            yield warn("certificate", what, "it has run out; let the provider sign with a newer one")
        elif left <= max(WARN_DAYS):
            yield warn("certificate", what, "renew it at the provider; the new one is followed by itself")
        else:
            yield ok("certificate", what)


def _oidc(name: str, provider: SsoProvider, settings: Settings) -> Iterator[Check]:
    from auth_backends.oidc.discovery import discover  # noqa: PLC0415 - loaded for who speaks it
    from server.sso.oidc_party import client_of  # noqa: PLC0415 - loaded for who speaks it

    try:
        client = client_of(provider, SsoAddresses(origin_of(settings), name))
        fetcher = fetcher_for(provider)
        discovery = discover(client, fetcher)
    except (SsoRefused, FetchFailed) as error:
        detail = error.detail if isinstance(error, SsoRefused) else error.reason
        yield fail("discovery", detail, "compare the issuer or tenant with what the provider shows")
        return
    yield ok("discovery", f"{discovery.issuer}, people sign in at {discovery.authorization_endpoint}")
    try:
        fetched = fetcher.get(discovery.jwks_uri, max_bytes=MAX_METADATA)
    except FetchFailed as failed:
        yield fail("signing keys", failed.reason, "nobody can sign in without them; ask the provider")
        return
    yield ok("signing keys", f"{len(fetched.body)} bytes from {discovery.jwks_uri}")
    yield from _clock(fetched)
    yield from _secret(provider)


def _secret(provider: SsoProvider) -> Iterator[Check]:
    ends = secret_end(provider)
    if provider.client_secret is None:
        yield ok("credential", "requests for tokens are signed with a private key")
    elif ends is None:
        yield warn(
            "credential", "nobody has said when the secret runs out", "say it with --client-secret-expires=YYYY-MM-DD"
        )
    else:
        left = (ends - time.time()) / DAY_S
        make = "make a new one there, then: quaymaster provider set NAME --client-secret-stdin"
        if left < 0:
            yield fail("credential", f"the secret has run out {-left:.0f} days ago", make)
        elif left <= max(WARN_DAYS):
            yield warn("credential", f"the secret runs out in {left:.0f} days", make)
        else:
            yield ok("credential", f"the secret is good for {left:.0f} days")


def _clock(fetched: Fetched) -> Iterator[Check]:
    """Compare the clocks: assertions and tokens count for minutes, and three of them are forgiven."""
    try:
        theirs = parsedate_to_datetime(fetched.headers.get("date", "")).timestamp()
    except (TypeError, ValueError):
        return
    skew = time.time() - theirs
    if abs(skew) > MAX_SKEW_S:
        side = "ahead" if skew > 0 else "behind"
        yield fail("clock", f"this machine's clock is {abs(skew):.0f} s {side}", "let it be set by NTP")
    else:
        yield ok("clock", f"{abs(skew):.0f} s apart")
