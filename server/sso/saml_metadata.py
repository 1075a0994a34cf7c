"""What a SAML provider says of itself: fetched, kept for all workers, and followed when its certificates change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from auth_backends.api import Clock
from auth_backends.outgoing import Fetcher, FetchFailed
from auth_backends.saml.metadata import MAX_METADATA, IdpMetadata, MetadataInvalid, read_metadata
from auth_backends.saml.parties import IdentityProvider
from auth_backends.sso import SsoReason, SsoRefused
from config.sso import SsoProvider
from storage.database.sso_kept import KeptDocument
from storage.database.store import Store

log = structlog.get_logger(__name__)

RETRY_S = 30.0
"""After a failure the provider is left alone for so long."""
FOLLOW_S = 60.0
"""An unknown certificate is reason to look again, but not more often than this: strangers can show unknown ones."""
FRESH_S = 3600.0


class SamlMetadata:
    """Blocking and thread-safe. Every method raises StoreError when nobody can tell."""

    def __init__(
        self,
        name: str,
        settings: SsoProvider,
        store: Store,
        fetcher: Callable[[], Fetcher],
        *,
        clock: Clock = time.time,
    ) -> None:
        self._name = name
        self._settings = settings
        self._store = store
        self._fetcher = fetcher
        self._clock = clock
        self._lock = threading.Lock()
        self._read: tuple[str, IdpMetadata] | None = None

    def provider(self) -> IdentityProvider:
        """Give the provider as it is known now. Raises SsoRefused if it never could be read."""
        settings = self._settings
        if settings.fingerprints:
            return IdentityProvider(
                settings.idp_entity_id or "",
                settings.idp_sso_url or "",
                settings.idp_slo_url,
                settings.idp_slo_url,
                fingerprints=frozenset(settings.fingerprints),
            )
        return self.described().provider

    def described(self) -> IdpMetadata:
        """Give the last good metadata; the first time they are fetched. Raises SsoRefused."""
        if self._settings.metadata_url is None:
            return self._parsed(self._file())
        kept = self._kept()
        if kept is None or not kept.body:
            if kept is not None and self._clock() - kept.tried_at < RETRY_S:
                raise SsoRefused(SsoReason.PROVIDER_UNREACHABLE, kept.problem)
            problem = self.refresh()
            kept = self._kept()
            if kept is None or not kept.body:
                raise SsoRefused(SsoReason.PROVIDER_UNREACHABLE, problem or "the metadata are gone again")
        return self._parsed(kept.body)

    def follow(self) -> bool:
        """Look whether the provider has other certificates by now; whether it has. Not more often than FOLLOW_S."""
        if self._settings.metadata_url is None:
            return False
        kept = self._kept()
        if kept is not None and self._clock() - kept.tried_at < FOLLOW_S:
            return False
        before = "" if kept is None else kept.body
        self.refresh()
        kept = self._kept()
        return kept is not None and kept.body != before

    def refresh(self) -> str:
        """Fetch the metadata and keep them if they are good; give why not, or the empty text."""
        url = self._settings.metadata_url
        if url is None:
            return ""
        now = self._clock()
        try:
            body = self._fetcher().get(url, max_bytes=MAX_METADATA).body
            told = _living(read_metadata(body, entity_id=self._settings.idp_entity_id), now)
            text = body.decode("utf-8")
        except (FetchFailed, MetadataInvalid, UnicodeDecodeError) as error:
            log.warning("sso.metadata_not_refreshed", provider=self._name, error=str(error))
            self._store.sso_kept.failed(self._name, url, str(error), now)
            return str(error)
        self._announce(told)
        self._store.sso_kept.put(self._name, url, text, now)
        return ""

    def _announce(self, told: IdpMetadata) -> None:
        """Tell admins of a certificate that was not there before: nobody should be surprised by a new signer."""
        kept = self._kept()
        if kept is None or not kept.body:
            return
        before = {one.sha256 for one in self._parsed(kept.body).certificates}
        for certificate in told.certificates:
            if certificate.sha256 not in before:
                log.warning("sso.new_signing_certificate", provider=self._name, sha256=certificate.sha256)
                self._store.audit.add(
                    "sso.new_certificate",
                    f"sso:{self._name}",
                    self._name,
                    "ok",
                    "announced",
                    detail={"sha256": certificate.sha256, "not_after": certificate.not_after},
                )

    def _kept(self) -> KeptDocument | None:
        return self._store.sso_kept.of(self._name, self._settings.metadata_url or "")

    def _file(self) -> str:
        path = self._settings.metadata_file
        try:
            return "" if path is None else path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SsoRefused(SsoReason.NOT_CONFIGURED, f"the metadata file {path} cannot be read: {error}") from None

    def _parsed(self, body: str) -> IdpMetadata:
        with self._lock:
            if self._read is not None and self._read[0] == body:
                return self._read[1]
        try:
            told = read_metadata(body.encode(), entity_id=self._settings.idp_entity_id)
        except MetadataInvalid as error:
            raise SsoRefused(SsoReason.NOT_CONFIGURED, str(error)) from None
        with self._lock:
            self._read = (body, told)
        return told


def _living(told: IdpMetadata, now: float) -> IdpMetadata:
    if told.valid_until is not None and told.valid_until <= now:
        raise MetadataInvalid("The metadata have run out by their own word.")
    return told
