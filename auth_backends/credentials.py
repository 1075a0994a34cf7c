"""What a client's user name and password field mean."""

from __future__ import annotations

from auth_backends.api import ApiKeyToken, Password, Secret
from auth_backends.api_keys import looks_like_api_key

API_USER = "@api"
"""The login name under which an API key speaks for its own user; no user can have it."""


def credential_from_password(username: str, secret: Secret) -> Password | ApiKeyToken:
    """Tell an API key from a password, by the text alone.

    A text that is meant as an API key is never treated as a password, so that a mistyped key is
    neither hashed nor sent to a directory.
    """
    if looks_like_api_key(secret) or username.casefold() == API_USER:
        return ApiKeyToken(username, secret)
    return Password(username, secret)
