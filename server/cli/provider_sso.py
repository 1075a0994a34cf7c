"""Keeping an identity provider in the database: nothing is asked there, as its client comes to us."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from config.sso import SsoProvider
from server.cli.context import Site
from server.cli.output import note, warn
from server.cli.provider_keep import kept_row, refuse_name
from server.cli.provider_options import Given, identity_provider_from
from server.providers import put_sso
from storage.database.records import Method


def new_identity_provider(site: Site, name: str, given: Given) -> SsoProvider:
    """Make a provider of what was typed. Raises Failure, also if there is one of this name already, of any kind."""
    refuse_name(site, name)
    return identity_provider_from(given.onto({}))


def changed_identity_provider(site: Site, name: str, given: Given, config: Path | None) -> SsoProvider:
    """Make a kept provider with what was typed in place of what was there. Raises Failure."""
    return identity_provider_from(given.onto(kept_row(site, name, config).options))


def keep_identity_provider(site: Site, name: str, provider: SsoProvider) -> None:
    """Keep a provider, and say what is to do next."""
    site.apply(put_sso(name, provider))
    if not site.store.scim_tokens.list(name):
        note(f"Its SCIM client needs a token: quaymaster scim token issue {name}")
        note(f"What to enter at the identity provider: quaymaster scim show {name}")
    belong = [user for user in site.store.users.list(provider=name) if user.provider == name and user.method.is_sso]
    others = Counter(user.method for user in belong if user.method is not Method(provider.method.value))
    for method, count in sorted(others.items()):
        who = "1 user of it keeps" if count == 1 else f"{count} users of it keep"
        warn(f"{who} the method {method}; the new one counts for those who come from now on.")
