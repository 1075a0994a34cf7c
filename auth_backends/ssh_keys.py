"""SSH public keys: what a person pastes, what the wire carries, and new pairs.

Wire forms: RFC 4253 section 6.6 (RSA), RFC 5656 section 3.1 (ECDSA), RFC 8709 section 4
(Ed25519), OpenSSH's PROTOCOL.u2f (sk- keys).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import unicodedata
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from auth_backends.api import Secret

MAX_LINE = 16_384
MAX_COMMENT = 200
MAX_RSA_BITS = 16_384
ED25519_BYTES = 32

_CURVES: dict[str, tuple[str, type[EllipticCurve]]] = {
    "ecdsa-sha2-nistp256": ("nistp256", SECP256R1),
    "ecdsa-sha2-nistp384": ("nistp384", SECP384R1),
    "ecdsa-sha2-nistp521": ("nistp521", SECP521R1),
    "sk-ecdsa-sha2-nistp256@openssh.com": ("nistp256", SECP256R1),
}
_EDWARDS = ("ssh-ed25519", "sk-ssh-ed25519@openssh.com")
ALGORITHMS = frozenset({*_CURVES, *_EDWARDS, "ssh-rsa"})
"""The key types that are taken."""

_LOOKS_LIKE_TYPE = re.compile(r"(?:ssh-|ecdsa-sha2-|sk-|webauthn-sk-|rsa-sha2-)[a-z0-9@.-]+")


class KeyRefused(ValueError):
    """The text is not a key that may be used; ``message`` says why and what to do instead."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """A public key that may be used. ``blob`` is its wire form; ``bits`` the size that ssh-keygen shows."""

    algorithm: str
    blob: bytes
    fingerprint: str
    comment: str
    bits: int

    @property
    def line(self) -> str:
        """The key as one line of a ``.pub`` file."""
        return f"{self.algorithm} {base64.b64encode(self.blob).decode('ascii')} {self.comment}".rstrip()


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A new pair: the private half in OpenSSH's own format, to be shown once, and the public half."""

    private: Secret
    public: ParsedKey

    @property
    def public_line(self) -> str:
        """The public half as one line of a ``.pub`` file."""
        return self.public.line


def fingerprint(blob: bytes) -> str:
    """Give the fingerprint as OpenSSH prints it: ``SHA256:`` and base64 without padding."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")


def parse_public_key(line: str, *, min_rsa_bits: int = 2048) -> ParsedKey:
    """Read one line of a ``.pub`` file, or raise KeyRefused with what to do instead."""
    text = line.strip()
    _refuse_other_formats(text)
    algorithm, encoded, comment = _split(text)
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        raise KeyRefused("The middle part of the key is not complete base64; copy the whole line again.") from None
    bits = _bits(algorithm, blob)
    if algorithm == "ssh-rsa" and bits < min_rsa_bits:
        raise KeyRefused(
            f"This RSA key has {bits} bits and this site asks for at least {min_rsa_bits}; "
            "make a new one with: ssh-keygen -t ed25519"
        )
    return ParsedKey(algorithm, blob, fingerprint(blob), _clean(comment), bits)


def generate_key_pair(comment: str = "") -> KeyPair:
    """Make a new Ed25519 pair; the private half is not encrypted."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode("ascii")
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")
    return KeyPair(Secret(private), parse_public_key(f"{public} {_clean(comment)}"))


def rsa_bits(blob: bytes) -> int | None:
    """Give the size of an RSA key in wire form, or None if the blob is not an RSA key."""
    fields = _Fields(blob)
    try:
        if fields.string() != b"ssh-rsa":
            return None
        fields.string()
        return int.from_bytes(fields.string(), "big").bit_length()
    except KeyRefused:
        return None


def _refuse_other_formats(text: str) -> None:
    if not text:
        raise KeyRefused("There is no key here; paste the one line of the .pub file.")
    if len(text) > MAX_LINE:
        raise KeyRefused(f"A public key is one line of at most {MAX_LINE} characters; this is longer.")
    if "PRIVATE KEY" in text or text.startswith("PuTTY-User-Key-File") or "Private-Lines:" in text:
        raise KeyRefused(
            "This is a PRIVATE key. Never send it anywhere: treat it as exposed, make a new pair, "
            "and paste the one line of the new .pub file."
        )
    if "SSH2 PUBLIC KEY" in text:
        raise KeyRefused("This is an RFC 4716 key; turn it into one line with: ssh-keygen -i -f FILE")
    if "-----BEGIN" in text:
        raise KeyRefused(
            "This is a PEM file, not an SSH key line; convert a public key with: ssh-keygen -i -m PKCS8 -f FILE"
        )
    if len(text.splitlines()) > 1:
        raise KeyRefused("There is more than one line here; add one key at a time, without line breaks inside it.")


def _split(text: str) -> tuple[str, str, str]:
    algorithm, *rest = text.split(maxsplit=2)
    if algorithm in ALGORITHMS and rest:
        return algorithm, rest[0], rest[1] if len(rest) > 1 else ""
    if algorithm in ALGORITHMS:
        raise KeyRefused("The key's type stands alone; copy the whole line of the .pub file.")
    if algorithm == "ssh-dss":
        raise KeyRefused("DSA keys are too weak and not taken; make a new one with: ssh-keygen -t ed25519")
    if "-cert-v0" in algorithm:
        raise KeyRefused("This is a certificate (…-cert.pub), not a key; paste the plain .pub file that belongs to it.")
    if _LOOKS_LIKE_TYPE.fullmatch(algorithm):
        raise KeyRefused(
            f"Keys of type {algorithm} are not taken; use Ed25519, ECDSA, RSA or a security key (ed25519-sk, ecdsa-sk)."
        )
    if any(known in text for known in (*ALGORITHMS, "ssh-dss")):
        raise KeyRefused(
            "The line begins with options (such as command= or from=); they are not taken. Paste the part that "
            "begins with the key's type, and set networks, expiry and read-only on the key here."
        )
    raise KeyRefused("This is not an SSH public key; it should begin with a type such as ssh-ed25519.")


def _bits(algorithm: str, blob: bytes) -> int:
    """Check every field of the wire form and give the key's size."""
    fields = _Fields(blob)
    if fields.string() != algorithm.encode("ascii"):
        raise KeyRefused("The type before the key and the type inside it differ; copy the line again.")
    if algorithm == "ssh-rsa":
        bits = _rsa(fields)
    elif algorithm in _EDWARDS:
        bits = _edwards(fields)
    else:
        bits = _curve(fields, *_CURVES[algorithm])
    if algorithm.startswith("sk-") and not fields.string():
        raise _damaged("it names no application")
    if fields.rest():
        raise _damaged("there are bytes after its end")
    return bits


def _rsa(fields: _Fields) -> int:
    exponent, modulus = fields.positive(), fields.positive()
    if exponent < 3 or exponent % 2 == 0 or modulus % 2 == 0:  # noqa: PLR2004 - the least exponent of RSA
        raise _damaged("its numbers are not those of an RSA key")
    if modulus.bit_length() > MAX_RSA_BITS:
        raise KeyRefused(f"RSA keys above {MAX_RSA_BITS} bits are not taken; ssh-keygen -t ed25519 makes a better one.")
    return modulus.bit_length()


def _edwards(fields: _Fields) -> int:
    if len(fields.string()) != ED25519_BYTES:
        raise _damaged("its length is wrong")
    return 256


def _curve(fields: _Fields, name: str, curve: type[EllipticCurve]) -> int:
    if fields.string() != name.encode("ascii"):
        raise _damaged("its curve and its type differ")
    point = fields.string()
    if point[:1] != b"\x04":  # RFC 5656 section 3.1: compressed points are optional, and OpenSSH refuses them
        raise _damaged("its point is not in the uncompressed form")
    try:
        EllipticCurvePublicKey.from_encoded_point(curve(), point)
    except (ValueError, UnsupportedAlgorithm):
        raise _damaged("its point is not on the curve") from None
    return curve().key_size


def _damaged(how: str) -> KeyRefused:
    return KeyRefused(f"The key is damaged: {how}. Copy the whole line of the .pub file again.")


def _clean(comment: str) -> str:
    """Keep a comment fit for one line of a log or a file."""
    shown = "".join(letter if unicodedata.category(letter)[0] != "C" else " " for letter in comment)
    return " ".join(shown.split())[:MAX_COMMENT]


class _Fields:
    """Reads the length-prefixed fields of RFC 4251 section 5."""

    def __init__(self, blob: bytes) -> None:
        self._blob = blob
        self._at = 0

    def string(self) -> bytes:
        start = self._at + 4
        end = start + int.from_bytes(self._blob[self._at : start], "big")
        if start > len(self._blob) or end > len(self._blob):
            raise _damaged("it is cut off")
        self._at = end
        return self._blob[start:end]

    def positive(self) -> int:
        """Read an mpint above zero in its one shortest form, so that a key has one blob."""
        raw = self.string()
        if not raw or raw[0] & 0x80 or (raw[0] == 0 and (len(raw) == 1 or not raw[1] & 0x80)):
            raise _damaged("a number in it is not in the shortest form")
        return int.from_bytes(raw, "big")

    def rest(self) -> bytes:
        return self._blob[self._at :]
