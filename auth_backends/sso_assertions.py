"""The authority for people who sign in at an identity provider: its response was verified before the broker saw it."""

from __future__ import annotations

from auth_backends.api import Accepted, Account, Attempt, Factor, NotMine, Reason, Rejected, SsoAssertion, Verdict


class SsoAssertions:
    """Accepts an assertion for the users of the provider that made it, and for nobody else.

    ``auth_backends.saml`` and ``auth_backends.oidc`` are the only makers of assertions. That the subject is linked
    to the user was found out by the look-up; a link to a provider that a user once had lets nobody in.
    """

    @property
    def accepts(self) -> frozenset[type]:
        """Assertions only; a password of these users must reach nobody."""
        return frozenset({SsoAssertion})

    def verify(self, attempt: Attempt, account: Account) -> Verdict:
        """Hold the provider that vouched against the one that the user belongs to."""
        credential = attempt.credential
        if not isinstance(credential, SsoAssertion):
            return NotMine()
        if account.user.provider != credential.provider:
            return Rejected(Reason.NOT_LINKED)
        return Accepted(Factor.SSO)

    def spend(self, attempt: Attempt) -> None:
        """Nothing: nobody can guess an assertion, so that no cost has to be evened out."""
