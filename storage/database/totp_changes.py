"""The changes of a user's one-time codes."""

from __future__ import annotations

from dataclasses import dataclass, field

from storage.database.records import Method

TOTP_METHODS = frozenset({Method.LOCAL, Method.LDAP})
"""Who signs in at the portal with a password, after which a code can be asked for."""


@dataclass(frozen=True, slots=True)
class EnrolTotp:
    """Ask this user for one-time codes (TOTP) from now on, or by another secret than before.

    ``sealed`` is the shared secret, sealed under the site key. ``last_step`` is the time step of the code by which the
    person proved to have the secret: that code, and any older one, is never accepted again (RFC 6238 section 5.2).
    """

    user_id: str
    sealed: str = field(repr=False)
    last_step: int


@dataclass(frozen=True, slots=True)
class RemoveTotp:
    """Ask this user for no one-time code any more, and forget the secret."""

    user_id: str


TotpChange = EnrolTotp | RemoveTotp
