"""What a provider publishes, kept at hand: its discovery document, and the keys that it leads to."""

from __future__ import annotations

import threading
from collections.abc import Callable

from auth_backends.oidc.client import OidcClient
from auth_backends.oidc.discovery import Discovery, discover
from auth_backends.oidc.signing_keys import SigningKeys
from auth_backends.outgoing import Fetcher
from auth_backends.sso import SsoReason, SsoRefused

RENEW_S = 24 * 3600.0
RETRY_S = 10.0
GAP_S = 300.0


class Publications:
    """Thread-safe. ``known`` is the last good copy of an earlier process.

    Discovery is fetched when it is first needed, and again after a day; while that fails, the last good copy serves: it
    holds addresses only, and TLS proves who answers there. After a failure nobody tries again for ten seconds, or for
    five minutes where there is a copy.
    """

    def __init__(
        self, client: OidcClient, fetcher: Fetcher, clock: Callable[[], float], known: Discovery | None = None
    ) -> None:
        self._client = client
        self._fetcher = fetcher
        self._clock = clock
        self._fetching = threading.Lock()
        self._discovery = known
        self._keys = None if known is None else self._keys_at(known)
        self._renewed_at = self._tried_at = float("-inf")
        self._failure = (SsoReason.PROVIDER_UNREACHABLE, "discovery: not fetched yet")

    @property
    def known(self) -> Discovery | None:
        """The copy at hand, without asking anybody."""
        return self._discovery

    def current(self) -> tuple[Discovery, SigningKeys]:
        """Give what is published. Raises SsoRefused where nothing is known and nothing can be fetched."""
        kept = self._at_hand()
        if kept is not None and 0 <= self._clock() - self._renewed_at < RENEW_S:
            return kept
        if not self._fetching.acquire(blocking=kept is None) and kept is not None:
            return kept
        try:
            return self._renewed()
        finally:
            self._fetching.release()

    def refresh(self) -> Discovery:
        """Fetch both now. Raises SsoRefused; the last good copies stay."""
        with self._fetching:
            self._fetch()
        discovery, keys = self.current()
        keys.refresh()
        return discovery

    def _at_hand(self) -> tuple[Discovery, SigningKeys] | None:
        discovery, keys = self._discovery, self._keys
        return None if discovery is None or keys is None or keys.address != discovery.jwks_uri else (discovery, keys)

    def _renewed(self) -> tuple[Discovery, SigningKeys]:
        now = self._clock()
        kept = self._at_hand()
        if kept is not None and 0 <= now - self._renewed_at < RENEW_S:
            return kept
        if not 0 <= now - self._tried_at < (RETRY_S if kept is None else GAP_S):  # also where the clock was set back
            try:
                return self._fetch()
            except SsoRefused:
                if kept is None:
                    raise
        if kept is None:
            raise SsoRefused(*self._failure)
        return kept

    def _fetch(self) -> tuple[Discovery, SigningKeys]:
        self._tried_at = self._clock()
        try:
            discovery = discover(self._client, self._fetcher)
        except SsoRefused as refused:
            self._failure = (refused.reason, refused.detail)
            raise
        keys = self._keys
        if keys is None or keys.address != discovery.jwks_uri:
            keys = self._keys_at(discovery)
        self._discovery, self._keys = discovery, keys
        self._renewed_at = self._clock()
        return discovery, keys

    def _keys_at(self, discovery: Discovery) -> SigningKeys:
        return SigningKeys(discovery.jwks_uri, self._client, self._fetcher, self._clock)
