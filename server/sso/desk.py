"""Single sign-on as the HTTP routes see it: one object that is made when the first page is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from server.portal import Portal
from server.sso.providers import SignInProviders
from server.sso.sign_in import SsoSignIn
from server.sso.sign_out import SsoSignOut


@dataclass(frozen=True, slots=True)
class SingleSignOn:
    """The parts of the portal's sign-in."""

    portal: Portal
    providers: SignInProviders
    sign_in: SsoSignIn
    sign_out: SsoSignOut
