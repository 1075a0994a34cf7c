"""The front door of authentication: credentials, attempts, verdicts, decisions."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol, runtime_checkable

from storage.database.records import ApiKey, SshKey, User


class FrontEnd(StrEnum):
    """A way in. The first four carry protocol credentials; the portal has sign-in pages."""

    SFTP = "sftp"
    FTPS = "ftps"
    WEBDAV = "webdav"
    API = "api"
    PORTAL = "portal"

    @property
    def is_protocol(self) -> bool:
        """Whether an SSO user's password must never be accepted here by the rule of the product."""
        return self is not FrontEnd.PORTAL


class Secret:
    """Text that never shows: no ``str``, no ``repr``, and equality in constant time."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Give the text to the one function that must compare or send it."""
        return self._text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(
            self._text.encode(errors="surrogatepass"), other._text.encode(errors="surrogatepass")
        )

    __hash__ = None  # type: ignore[assignment]  # a secret must not become a dictionary key

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        message = "a Secret has no text form; call reveal() where it is compared"
        raise TypeError(message)

    def __bool__(self) -> bool:
        return bool(self._text)


@dataclass(frozen=True, slots=True)
class Password:
    """A login name with a password, as the client sent them.

    ``code`` is a one-time code (TOTP) that the portal asked for; on any other front end it counts for nothing.
    """

    username: str
    secret: Secret
    code: Secret | None = None


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An SSH public key whose signature the front end has verified (RFC 4252 section 7).

    ``blob`` is the key in wire form. ``second`` carries the password of a ``local+key`` login
    that proved both factors on one connection.
    """

    username: str
    algorithm: str
    blob: bytes
    second: Secret | None = None


@dataclass(frozen=True, slots=True)
class ApiKeyToken:
    """An API key used as a password (under the user's own name or ``@api``) or as a bearer token.

    ``username`` is None for Bearer.
    """

    username: str | None
    token: Secret


@dataclass(frozen=True, slots=True)
class SsoAssertion:
    """A verified assertion or ID token; ``subject`` is the provider's immutable id of the person."""

    provider: str
    subject: str
    claims: dict[str, object] = field(repr=False)


Credential = Password | PublicKey | ApiKeyToken | SsoAssertion
Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to come in. ``peer`` is the client's address; ``at`` is Unix seconds, UTC."""

    id: str
    front_end: FrontEnd
    credential: Credential
    peer: Address
    at: float


class Factor(StrEnum):
    """A kind of credential: the column of the decision table, and what proved a session's identity."""

    PASSWORD = "password"  # noqa: S105 - a kind of credential, not a secret
    PUBLIC_KEY = "key"
    KEY_AND_PASSWORD = "key+password"  # noqa: S105 - a kind of credential, not a secret
    API_KEY = "apikey"
    SSO = "sso"


class Reason(StrEnum):
    """Why an attempt ended as it did: for audit, ``explain`` and metrics; never for the client."""

    GRANTED = "granted"
    UNKNOWN_USER = "unknown_user"
    BAD_NAME = "bad_name"
    NOT_ACTIVE = "not_active"
    EXPIRED = "expired"
    SSO_PASSWORD_REFUSED = "sso_password_refused"  # noqa: S105
    METHOD_HAS_NO_PASSWORD = "method_has_no_password"  # noqa: S105
    NEEDS_KEY_AND_PASSWORD = "needs_key_and_password"  # noqa: S105
    CREDENTIAL_NOT_FOR_FRONT_END = "credential_not_for_front_end"
    FRONT_END_NOT_ALLOWED = "front_end_not_allowed"
    NETWORK_NOT_ALLOWED = "network_not_allowed"
    BREAK_GLASS_NOT_HERE = "break_glass_not_here"
    TOTP_REQUIRED = "totp_required"
    WRONG_CODE = "wrong_code"
    PASSWORD_NOT_EXPECTED = "password_not_expected"  # noqa: S105
    UNUSABLE_PASSWORD = "unusable_password"  # noqa: S105
    WRONG_PASSWORD = "wrong_password"  # noqa: S105
    METHOD_CHANGED = "method_changed"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    NO_PASSWORD_SET = "no_password_set"  # noqa: S105
    UNKNOWN_KEY = "unknown_key"
    KEY_EXPIRED = "key_expired"
    KEY_REVOKED = "key_revoked"
    KEY_NETWORK = "key_network_not_allowed"
    KEY_TOO_WEAK = "key_too_weak"
    MALFORMED_API_KEY = "malformed_api_key"
    UNKNOWN_API_KEY = "unknown_api_key"
    WRONG_API_KEY = "wrong_api_key"
    API_KEY_OUT_OF_SCOPE = "api_key_out_of_scope"
    API_KEY_OF_ANOTHER_USER = "api_key_of_another_user"
    NOT_LINKED = "not_linked"
    SERVICE_ACCOUNT = "service_account"
    DIRECTORY_NO_ENTRY = "directory_no_entry"
    DIRECTORY_AMBIGUOUS = "directory_ambiguous"
    DIRECTORY_OUTSIDE_BASE = "directory_outside_base"
    DIRECTORY_LOCKED = "directory_locked"
    DIRECTORY_DISABLED = "directory_disabled"
    DIRECTORY_EXPIRED = "directory_expired"
    DIRECTORY_PASSWORD_EXPIRED = "directory_password_expired"  # noqa: S105
    DIRECTORY_PASSWORD_MUST_CHANGE = "directory_password_must_change"  # noqa: S105
    DIRECTORY_LOGON_HOURS = "directory_logon_hours"
    DIRECTORY_WORKSTATION = "directory_workstation"
    DIRECTORY_REFUSED = "directory_refused"
    THROTTLED_USER = "throttled_user"
    THROTTLED_NETWORK = "throttled_network"
    CHANGED_MEANWHILE = "changed_meanwhile"
    BACKEND_UNAVAILABLE = "backend_unavailable"
    NO_BACKEND = "no_backend"
    STORE_UNAVAILABLE = "store_unavailable"
    INTERNAL_ERROR = "internal_error"


# What one backend says ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Accepted:
    """The credential is right. ``credential_id`` names the key or API key row, if there is one.

    ``password_version`` tells a password of the user store from an earlier or later one.
    """

    factor: Factor
    credential_id: str | None = None
    password_version: float | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The credential is wrong, for sure."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class NotMine:
    """This backend is not the authority for this account."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Cannot tell. Fails closed, counts against nobody, and never falls through.

    ``perhaps_counted`` says that a password went out, so that an authority that locks accounts may
    have counted a failure.
    """

    detail: str
    retry_after_s: float = 5.0
    perhaps_counted: bool = False


Verdict = Accepted | Rejected | NotMine | Unavailable


# What the broker says ----------------------------------------------------------------------------

PUBLIC_REFUSAL = "Authentication failed."
PUBLIC_UNAVAILABLE = "The service cannot check your sign-in right now; try again later."


@dataclass(frozen=True, slots=True)
class Principal:
    """Who came in and within which limits; what a front end needs to open a session.

    ``path_prefixes`` empty means everywhere; ``read_only`` narrows every mount. ``front_end`` and
    ``peer`` say where the sign-in was let in, and ``password_version`` by which password of the
    user store, so that ``Broker.still_valid`` can ask again.
    """

    user: User
    factor: Factor
    credential_id: str | None
    read_only: bool = False
    path_prefixes: tuple[str, ...] = ()
    front_end: FrontEnd | None = None
    peer: Address | None = None
    password_version: float | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """Come in. ``not_after`` is Unix seconds when the account or the credential expires."""

    principal: Principal
    not_after: float | None
    epoch: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Stay out. ``public_message`` is the same for every reason."""

    reason: Reason
    public_message: str = PUBLIC_REFUSAL


@dataclass(frozen=True, slots=True)
class TryLater:
    """Cannot tell: the protocol's temporary error (FTP 421, HTTP 503 with Retry-After, SSH disconnect)."""

    reason: Reason
    retry_after_s: float
    public_message: str = PUBLIC_UNAVAILABLE


Decision = Granted | Refused | TryLater


@dataclass(frozen=True, slots=True)
class Account:
    """What is known of the user when a backend is asked: the record and the matching key row.

    ``credential`` is the SSH key or API key row found by the credential's public part, or None.
    """

    user: User
    credential: SshKey | ApiKey | None = None


@dataclass(frozen=True, slots=True)
class AttemptLimit:
    """How many wrong passwords of one account may be sent to its authority within so many seconds."""

    max_failures: int
    window_s: float


class AuthBackend(Protocol):
    """One authority. Blocking and thread-safe; never raises for a wrong credential."""

    @property
    def accepts(self) -> frozenset[type]:
        """Kinds of credential that this backend can check."""

    def verify(self, attempt: Attempt, account: Account) -> Verdict:
        """Check the credential against this authority."""

    def spend(self, attempt: Attempt) -> None:
        """Do the work of one verification and learn nothing: what an unknown user costs."""


@runtime_checkable
class LockingBackend(AuthBackend, Protocol):
    """An authority that locks an account after some failures, whoever caused them.

    The broker counts an attempt before it asks such a backend, so that all workers together never
    send it more wrong passwords than ``limit`` says.
    """

    def knows(self, account: Account) -> bool:
        """Whether this account's authority is configured. Raises StoreError."""

    def limit(self, account: Account) -> AttemptLimit | None:
        """Give the limit that keeps this account unlocked, or None if the authority locks nobody."""


Clock = Callable[[], float]
