"""What is looked after every hour: the providers' metadata, and what of a sign-in runs out before long."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from auth_backends.sso import SsoRefused
from config.settings import Settings
from config.sso import SsoMethod, SsoProvider
from server.providers import ProviderBook
from storage.database.store import Store

log = structlog.get_logger(__name__)

DAY_S = 86_400.0
WARN_DAYS = (60, 30, 7)


def look_after(store: Store, settings: Settings, now: float) -> None:
    """Refresh every provider at which people can sign in, one after the other. Raises StoreError."""
    for listed in ProviderBook(store, settings).listed_sso():
        provider = listed.provider
        if provider is None or not provider.signs_in:
            continue
        try:
            _look_after(listed.name, provider, store, settings, now)
        except SsoRefused as refused:
            log.warning("sso.provider_not_refreshed", provider=listed.name, reason=refused.detail)


def _look_after(name: str, provider: SsoProvider, store: Store, settings: Settings, now: float) -> None:
    if provider.method is SsoMethod.OIDC:
        from server.sso.oidc_party import OidcParty  # noqa: PLC0415 - loaded for who speaks it

        warn_of(name, "client_secret", secret_end(provider), store, now)
        OidcParty(name, provider, settings, store).refresh(now)
        return
    from server.sso.saml_party import SamlParty  # noqa: PLC0415 - loaded for who speaks it

    described = SamlParty(name, provider, settings, store).described
    described.refresh()
    if not provider.fingerprints:
        ends = max(one.not_after for one in described.described().certificates)
        warn_of(name, "signing_certificate", ends, store, now)


def secret_end(provider: SsoProvider) -> float | None:
    """Give when the application's secret runs out (Unix seconds), as an admin has said."""
    if provider.client_secret_expires is None:
        return None
    try:
        return datetime.fromisoformat(provider.client_secret_expires).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def warn_of(name: str, what: str, ends: float | None, store: Store, now: float) -> None:
    """Write one audit event for each of the days named in WARN_DAYS, when it has come; none twice."""
    if ends is None:
        return
    left = (ends - now) / DAY_S
    due = [days for days in WARN_DAYS if left <= days]
    if not due:
        return
    kind, stage = f"sso.{what}_expires", str(min(due))
    told = {"stage": stage, "ends": ends}
    if any(event.detail == told for event in store.audit.tail(kind=kind, subject=name, limit=len(WARN_DAYS))):
        return
    log.warning(kind, provider=name, days_left=round(left, 1))
    store.audit.add(kind, "system", name, "warning", "expires", detail=told)
