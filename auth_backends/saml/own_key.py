"""Our private key as an object: made of its text once, as checking a key of 3,072 bits takes longer than using it."""

from __future__ import annotations

from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from auth_backends.saml.parties import ServiceProvider


def private_key(sp: ServiceProvider) -> RSAPrivateKey:
    """Give the key that signs our messages and opens assertions. Raises TypeError if it is not RSA."""
    return _loaded(sp.private_key_pem.reveal())


@lru_cache(maxsize=4)
def _loaded(pem: str) -> RSAPrivateKey:
    key = load_pem_private_key(pem.encode(), None)
    if not isinstance(key, RSAPrivateKey):
        message = "the key of a SAML service provider must be RSA"
        raise TypeError(message)
    return key
