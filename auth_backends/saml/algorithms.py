"""The one list of algorithms that a provider may sign by, whichever way its message comes (RFC 6931)."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
RSA_SHA256 = f"{_MORE}rsa-sha256"
RSA = {f"{_MORE}rsa-{name}": algorithm for name, algorithm in _HASHES.items()}
ECDSA = {f"{_MORE}ecdsa-{name}": algorithm for name, algorithm in _HASHES.items()}
SIGNATURES = frozenset(RSA | ECDSA)


def is_signed_by(key: PublicKeyTypes, algorithm: str, signature: bytes, signed: bytes) -> bool:
    """Whether octets were signed by this key with this algorithm of the list; a key of another kind did not."""
    try:
        match key:
            case rsa.RSAPublicKey() if algorithm in RSA:
                key.verify(signature, signed, padding.PKCS1v15(), RSA[algorithm])
            case ec.EllipticCurvePublicKey() if algorithm in ECDSA:
                key.verify(_der(signature, key), signed, ec.ECDSA(ECDSA[algorithm]))
            case _:
                return False
    except InvalidSignature:
        return False
    return True


def _der(signature: bytes, key: ec.EllipticCurvePublicKey) -> bytes:
    """Give an ECDSA signature in DER, as Java's makers send it; RFC 6931 section 2.3.6 has r and s side by side."""
    size = (key.curve.key_size + 7) // 8
    if len(signature) != 2 * size:
        return signature
    return encode_dss_signature(int.from_bytes(signature[:size]), int.from_bytes(signature[size:]))
