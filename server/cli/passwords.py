"""Where a new password may come from, and for whom there may be one."""

from __future__ import annotations

from typing import assert_never

from auth_backends.passwords import PasswordHasher, PasswordRefused
from config.settings import Settings
from server.cli.output import Failure
from server.cli.values import new_password
from storage.database.records import Method


def password_rule(method: Method) -> str | None:
    """Say why a user of this method has no password in this server, or None."""
    match method:
        case Method.LOCAL | Method.LOCAL_KEY:
            return None
        case Method.LDAP:
            return "the password of an ldap user is kept and checked by the directory, never here"
        case Method.SAML | Method.OIDC:
            return (
                f"a user of method {method} signs in at the identity provider; a password is never accepted for such "
                "a user on any protocol, so none is kept. Give the user an SSH key or an API key"
            )
        case Method.NONE:
            return "a service account (method none) connects with an SSH key or an API key only"
        case _:
            assert_never(method)


def hashed_password(settings: Settings, method: Method, *, from_stdin: bool) -> str | None:
    """Read and hash a new password; None if there is nobody to ask, or the method has none.

    Raises Failure if a password was offered for a method that has none, or it cannot be a password.
    """
    reason = password_rule(method)
    if reason is not None:
        if from_stdin:
            raise Failure(f"--password-stdin does not go with --method {method}.", reason, "leave the option away")
        return None
    secret = new_password(from_stdin=from_stdin)
    if secret is None:
        return None
    try:
        return PasswordHasher(concurrency=settings.auth.password_concurrency).hash(secret)
    except PasswordRefused as refusal:
        raise Failure("The password cannot be taken.", refusal.message) from None
