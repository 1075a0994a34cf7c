"""Which keys of a published key set (RFC 7517) may sign ID tokens."""

from __future__ import annotations

from dataclasses import dataclass, field

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from auth_backends.oidc.client import OidcClient
from auth_backends.sso import SsoReason, SsoRefused

MAX_KEYS = 100
RSA_BITS = range(2048, 8193)
_FAMILIES = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC"}

SigningKey = RSAKey | ECKey


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A public key with its id and, where the provider says it, the one algorithm that it is for."""

    id: str | None
    family: str
    algorithm: str | None
    key: SigningKey = field(repr=False)

    def fits(self, algorithm: str) -> bool:
        """Whether it may be used with this algorithm."""
        return _FAMILIES.get(algorithm) == self.family and self.algorithm in {None, algorithm}


def usable_keys(document: dict[str, object], client: OidcClient) -> tuple[PublishedKey, ...]:
    """Give the keys that may sign ID tokens of this client's issuer. Raises SsoRefused if there is none.

    Certificates and addresses beside the keys are not looked at, and neither are secret keys. Entra ID says for which
    issuer a key is (Microsoft Learn, "Validate the signing key issuer"): a key for another one is left out.
    """
    listed = document.get("keys")
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise SsoRefused(SsoReason.MALFORMED, f"the provider's key set has no list of at most {MAX_KEYS} keys")
    found = [_published(one, client) for one in listed if isinstance(one, dict)]
    if keys := tuple(key for key in found if key is not None):
        return keys
    raise SsoRefused(SsoReason.UNKNOWN_SIGNING_KEY, "the provider's key set has no key that may sign ID tokens")


def _published(one: dict[str, object], client: OidcClient) -> PublishedKey | None:
    key_id, algorithm = one.get("kid"), one.get("alg")
    if not (key_id is None or isinstance(key_id, str)) or not (algorithm is None or isinstance(algorithm, str)):
        return None
    if not _signs(one) or not _is_of(one.get("issuer"), client):
        return None
    key = _made(one)
    return None if key is None else PublishedKey(key_id, key.key_type, algorithm, key)


def _signs(one: dict[str, object]) -> bool:
    operations = one.get("key_ops", ["verify"])
    return one.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations


def _is_of(issuer: object, client: OidcClient) -> bool:
    if issuer is None:
        return True
    return isinstance(issuer, str) and issuer.replace("{tenantid}", client.tenant or "") == client.issuer


def _made(one: dict[str, object]) -> SigningKey | None:
    try:
        match one:
            case {"kty": "RSA", "n": str(modulus), "e": str(exponent)}:
                key = RSAKey.import_key({"kty": "RSA", "n": modulus, "e": exponent})
                return key if key.raw_value.key_size in RSA_BITS else None
            case {"kty": "EC", "crv": "P-256", "x": str(x), "y": str(y)}:
                return ECKey.import_key({"kty": "EC", "crv": "P-256", "x": x, "y": y})
    except (JoseError, ValueError, TypeError):
        return None
    return None
