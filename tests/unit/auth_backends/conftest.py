"""Keys that take long to make, once."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from auth_backends.ssh_keys import ParsedKey, parse_public_key


@pytest.fixture(scope="session")
def rsa_2048() -> ParsedKey:
    """An RSA key of 2048 bits."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    return parse_public_key(key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii"))
