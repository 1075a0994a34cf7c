"""The identity providers at which people can sign in here, each made of its settings and what it says of itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from auth_backends.api import Clock
from auth_backends.sso import SsoReason, SsoRefused
from config.sso import SsoMethod, SsoProvider
from server.providers import ProviderBook
from server.sso.party import Party
from storage.database.store import StoreUnavailable

log = structlog.get_logger(__name__)

Builder = Callable[[str, SsoProvider], Party]


@dataclass(frozen=True, slots=True)
class Button:
    """One way to sign in, as the page shows it."""

    name: str
    label: str
    domains: frozenset[str]


class SignInProviders:
    """Blocking and thread-safe. Every method raises StoreError when nobody can tell.

    ``builders`` make a party of each method; one is made anew when its settings have changed.
    """

    def __init__(self, book: ProviderBook, builders: Mapping[SsoMethod, Builder], *, clock: Clock = time.time) -> None:
        self._book = book
        self._builders = builders
        self._clock = clock
        self._lock = threading.Lock()
        self._made: dict[str, tuple[SsoProvider, Party]] = {}

    def buttons(self) -> list[Button]:
        """Give the ways to sign in, by label; a provider that only provisions has none."""
        found = [
            Button(listed.name, listed.provider.display_name or listed.name, listed.provider.domains)
            for listed in self._book.listed_sso()
            if listed.provider is not None and listed.provider.signs_in
        ]
        return sorted(found, key=lambda button: (button.label.casefold(), button.name))

    def is_gone(self, name: str) -> bool:
        """Whether nobody can sign in at a provider of this name any more; not where its settings cannot be read now."""
        try:
            provider = self._book.sso(name)
        except StoreUnavailable:
            return False
        return provider is None or not provider.signs_in

    def settings(self, name: str) -> SsoProvider:
        """Give the settings of a provider where people can sign in. Raises SsoRefused."""
        provider = self._book.sso(name)
        if provider is None or not provider.signs_in:
            raise SsoRefused(SsoReason.NOT_CONFIGURED, f"nobody can sign in at {name!r}: it has no such settings")
        return provider

    def party(self, name: str) -> Party:
        """Give the provider as a party to a sign-in. Raises SsoRefused, also if its settings cannot be used."""
        settings = self.settings(name)
        with self._lock:
            known = self._made.get(name)
        if known is not None and known[0] == settings:
            return known[1]
        party = self._builders[settings.method](name, settings)
        with self._lock:
            self._made[name] = (settings, party)
        return party
