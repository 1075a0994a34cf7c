"""Our private key as an object: made of its text once, as checking a key of 3,072 bits takes longer than using it."""

from __future__ import annotations

from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from auth_backends.saml.parties import ServiceProvider
from auth_backends.sso import SsoReason, SsoRefused


def private_key(sp: ServiceProvider) -> RSAPrivateKey:
    """Give the key that signs our messages and opens assertions. Raises SsoRefused if it is no RSA key."""
    return _loaded(sp.private_key_pem.reveal())


@lru_cache(maxsize=4)
def _loaded(pem: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise SsoRefused(SsoReason.NOT_CONFIGURED, "our SAML key is no RSA key without a password")
    return key
