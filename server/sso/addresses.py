"""Where the portal and its parts are reached: what identity providers are told about us."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from config.settings import Settings


@dataclass(frozen=True, slots=True)
class SsoAddresses:
    """The addresses of one provider's sign-in. ``origin`` is scheme, host and port without a slash at the end."""

    origin: str
    provider: str
    entity_id_suffix: str = ""

    @property
    def _base(self) -> str:
        return f"{self.origin}/sso/{quote(self.provider)}"

    @property
    def entity_id(self) -> str:
        """Our SAML entity ID for this provider: the address of our metadata, and the suffix that an admin chose."""
        suffix = f"#{self.entity_id_suffix}" if self.entity_id_suffix else ""
        return f"{self._base}/metadata{suffix}"

    @property
    def acs(self) -> str:
        """Assertion consumer service (SAML, HTTP POST)."""
        return f"{self._base}/acs"

    @property
    def slo(self) -> str:
        """Single logout service (SAML, HTTP redirect)."""
        return f"{self._base}/slo"

    @property
    def metadata(self) -> str:
        """Our SAML metadata."""
        return f"{self._base}/metadata"

    @property
    def callback(self) -> str:
        """Redirect URI (OpenID Connect)."""
        return f"{self._base}/callback"

    @property
    def back_channel(self) -> str:
        """Back-channel logout URI (OpenID Connect)."""
        return f"{self._base}/back-channel"

    @property
    def signed_out(self) -> str:
        """Where the provider sends people back after they signed out (OpenID Connect)."""
        return f"{self.origin}/signed-out"


def origin_of(settings: Settings) -> str:
    """Give the origin that browsers see, never taken from a request's Host header."""
    return settings.portal.public_url or f"https://localhost:{settings.http.port}"


def safe_return(wanted: str | None) -> str:
    """Give the path of ours where a person wanted to go, or the account page.

    Anything that a browser could read as another site is dropped (``//host``, a backslash, control characters).
    """
    home = "/account"
    if not wanted or len(wanted) > 2048 or not wanted.startswith("/") or not wanted.isprintable() or "\\" in wanted:  # noqa: PLR2004 - a sane address
        return home
    return home if wanted.startswith("//") else wanted
