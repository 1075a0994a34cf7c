"""One identity provider as the sign-in sees it, whichever protocol it speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from auth_backends.sso import Check, Form, Person
from storage.database.portal_sessions import LogoutWord
from storage.database.sso_flows import SsoFlow


@dataclass(frozen=True, slots=True)
class Vouched:
    """A verified answer. ``once`` is the id that lets nobody in twice before ``until`` (Unix seconds).

    ``logout`` is what single logout needs later.
    """

    person: Person
    once: str
    until: float
    logout: Mapping[str, str] = field(repr=False)
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a browser brought back from a provider.

    ``handle`` is RelayState or state, ``browser`` the cookie of the browser, ``peer`` its address. ``fields`` are the
    parameters of the form or query.
    """

    provider: str
    handle: str
    fields: Mapping[str, str] = field(repr=False)
    browser: str = field(repr=False)
    peer: str


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """A provider signs somebody out through a browser; ``answer`` is how that takes our answer there, if at all."""

    word: LogoutWord
    answer: str | Form | None


@dataclass(frozen=True, slots=True)
class LogoutAnswer:
    """A provider's answer to our request to sign somebody out; ``handle`` is that of the flow."""

    handle: str
    in_response_to: str


Carried = str | Mapping[str, str]
"""What a browser brought to the address of single logout: the raw query of a redirect, or the fields of a form."""


@dataclass(frozen=True, slots=True)
class Hints:
    """What a person said before being sent away. ``force`` asks the provider to ask for the credential again."""

    login: str = ""
    force: bool = False


class Party(Protocol):
    """Blocking and thread-safe. Everything that is not believed raises SsoRefused."""

    @property
    def unsolicited(self) -> bool:
        """Whether an answer may come that nobody here asked for."""

    def new_request(self) -> tuple[str, str]:
        """Give what a new flow keeps: the request's id or nonce, and the PKCE verifier, empty where there is none."""

    def begin(self, flow: SsoFlow, handle: str, hints: Hints, now: float) -> str:
        """Give the address at the provider where the browser is sent."""

    def finish(self, answer: Mapping[str, str], flow: SsoFlow | None, now: float) -> Vouched:
        """Verify the answer to a flow; ``flow`` None where the provider began."""

    def sign_out(self, logout: Mapping[str, str], handle: str, request_id: str, now: float) -> str | Form | None:
        """Give the address or form by which the browser signs out at the provider, or None if it has none."""

    def read_logout(self, carried: Carried, now: float) -> LogoutRequest | LogoutAnswer:
        """Verify a message of single logout."""

    def read_back_channel(self, token: str, now: float) -> LogoutWord:
        """Verify a logout token that the provider's server posted to us (OpenID Connect Back-Channel Logout 1.0)."""

    def metadata(self) -> bytes:
        """Give what the provider needs to know of us, as SAML metadata; SsoRefused where there is no such thing."""
