"""Signed tokens of a provider (JWS, RFC 7515), up to the signature: which key, which algorithm, whole or not."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field

from joserfc import jws
from joserfc.errors import JoseError

from auth_backends.oidc.checks import CheckList
from auth_backends.oidc.client import OidcClient
from auth_backends.oidc.documents import json_object, printable
from auth_backends.oidc.signing_keys import KeySource
from auth_backends.sso import SsoReason

MAX_TOKEN = 64 * 1024
_MAX_HEADER = 16 * 1024
_PARTS = 3


@dataclass(frozen=True, slots=True)
class Signed:
    """The claims of a token whose signature is right; nothing in them was looked at yet.

    ``digest`` is of what was signed, not of the signature: some signatures can be written in two ways.
    """

    claims: dict[str, object] = field(repr=False)
    algorithm: str
    digest: str


def verified_signature(
    token: str, types: frozenset[str], *, client: OidcClient, keys: KeySource, checks: CheckList
) -> Signed:
    """Check size, form, algorithm and signature of a token. Raises SsoRefused.

    The algorithm must be one of the client's, and the key is the provider's published one of that id: keys,
    certificates and addresses in the token's own header are not looked at. ``types`` are the values that ``typ`` may
    have, in lower case, without ``application/``; a token without one passes.
    """
    checks.demand("size", len(token) <= MAX_TOKEN, SsoReason.TOO_LARGE, f"the token has more than {MAX_TOKEN} bytes")
    parts = token.split(".")
    checks.demand("form", len(parts) == _PARTS and token.isascii(), SsoReason.MALFORMED, "not a signed token")
    header = json_object(_decoded(parts[0], checks), "the token's header")
    algorithm = header.get("alg")
    allowed = isinstance(algorithm, str) and algorithm in client.allowed_algorithms
    said = printable(algorithm, 20) or "nothing"
    checks.demand("algorithm", allowed, SsoReason.FORBIDDEN_ALGORITHM, f"the token is signed by {said}", said)
    understood = "crit" not in header and "b64" not in header  # RFC 7515 section 4.1.11: not understood, not accepted
    checks.demand("extensions", understood, SsoReason.MALFORMED, "the token's header asks for extensions")
    kind = str(header.get("typ", "jwt")).lower().removeprefix("application/")
    checks.demand("type", kind in types, SsoReason.TOKEN_REFUSED, f"the token is of the type {printable(kind, 40)}")
    key_id = header.get("kid")
    named = key_id is None or isinstance(key_id, str)
    checks.demand("key id", named, SsoReason.MALFORMED, "the key id of the token is no text")
    with checks.watching("signing key", printable(key_id, 100)):
        key = keys.key(str(key_id) if key_id is not None else None, str(algorithm))
    registry = jws.JWSRegistry(algorithms=[str(algorithm)], strict_check_header=False)
    registry.max_header_length = _MAX_HEADER
    try:
        payload = jws.deserialize_compact(token, key, registry=registry).payload
    except (JoseError, ValueError, TypeError):
        payload = None
    checks.demand(
        "signature", payload is not None, SsoReason.BAD_SIGNATURE, "the signature is not by the provider's key"
    )
    claims = json_object(payload or b"", "the token's payload")
    return Signed(claims, str(algorithm), hashlib.sha256(token.rpartition(".")[0].encode()).hexdigest())


def _decoded(part: str, checks: CheckList) -> bytes:
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = None
    checks.demand("header", raw is not None, SsoReason.MALFORMED, "the token's header is not base64url")
    return raw or b""
