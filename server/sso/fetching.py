"""How a provider's servers are reached from here."""

from __future__ import annotations

from auth_backends.outgoing import Fetcher
from config.sso import SsoProvider


def fetcher_for(provider: SsoProvider) -> Fetcher:
    """Give a client with the limits that the provider's settings say."""
    return Fetcher(allow_private_hosts=provider.private_hosts, ca_file=provider.ca_file)
