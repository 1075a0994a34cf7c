"""The rows of the user store as values: what readers of the store get.

Times are Unix seconds (float, UTC). Ids are 32 lower-case hex digits unless said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Method(StrEnum):
    """How a user proves who they are: the row of the decision table."""

    LOCAL = "local"
    LOCAL_KEY = "local+key"
    LDAP = "ldap"
    SAML = "saml"
    OIDC = "oidc"
    NONE = "none"

    @property
    def is_sso(self) -> bool:
        """Whether the person signs in at an identity provider and has no password here."""
        return self in {Method.SAML, Method.OIDC}


class Status(StrEnum):
    """Whether the account is in use. Disabled can come back; deprovisioned was ended by its source."""

    ACTIVE = "active"
    DISABLED = "disabled"
    DEPROVISIONED = "deprovisioned"


class Owner(StrEnum):
    """The source that owns a user, a field or a membership; a source changes only what it owns."""

    MANUAL = "manual"
    SCIM = "scim"
    LDAP = "ldap"
    JIT = "jit"
    PORTAL = "portal"


class Role(StrEnum):
    """What a user may do in administration."""

    USER = "user"
    GROUP_ADMIN = "group-admin"
    READ_ONLY_ADMIN = "read-only-admin"
    ADMIN = "admin"


RANK = {Role.USER: 0, Role.GROUP_ADMIN: 1, Role.READ_ONLY_ADMIN: 2, Role.ADMIN: 3}
"""Which of several roles counts: the highest."""


@dataclass(frozen=True, slots=True)
class User:
    """One person or service account.

    ``name`` is the login name in canonical form (NFC, casefolded). ``home`` is the folder name
    under the site's home root; it does not follow a rename. ``protocols`` and ``networks`` empty
    mean any. ``epoch`` is raised by every change of rights or credentials.
    """

    id: str
    name: str
    method: Method
    status: Status
    epoch: int
    home: str
    display_name: str = ""
    email: str = ""
    provider: str | None = None
    role: Role = Role.USER
    break_glass: bool = False
    managed_by: Owner = Owner.MANUAL
    expires_at: float | None = None
    quota_bytes: int | None = None
    protocols: frozenset[str] = frozenset()
    networks: tuple[str, ...] = ()
    totp_enrolled: bool = False
    created_at: float = 0.0
    updated_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of users."""

    id: str
    name: str
    managed_by: Owner = Owner.MANUAL
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Identity:
    """A link of a user to the immutable id of a person at a provider.

    ``hint`` is where the source last had the person (a DN): a place to look first, never a key.
    ``active``, ``role`` and ``expires_at`` are what the source says of the person; what counts stands
    in the user. ``role_overruled`` means that an admin has said another role.
    """

    user_id: str
    provider: str
    external_id: str
    linked_at: float = 0.0
    hint: str = ""
    active: bool = True
    role: Role | None = None
    role_overruled: bool = False
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class GroupIdentity:
    """A link of a group to the immutable id of a group at a provider.

    ``hint`` is where the group is there; empty for one that has gone and stays here for its grants.
    """

    group_id: str
    provider: str
    external_id: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class StoredProvider:
    """A provider that an admin keeps in the database; ``secrets`` are sealed under the site key, by option."""

    name: str
    kind: str
    options: dict[str, object]
    secrets: dict[str, str]
    created_at: float = 0.0
    updated_at: float = 0.0


@dataclass(frozen=True, slots=True)
class RoleMapping:
    """Members of this group at this provider have this role; an admin confirmed it."""

    provider: str
    external_id: str
    role: Role
    group_name: str
    confirmed_by: str
    confirmed_at: float


@dataclass(frozen=True, slots=True)
class Membership:
    """One user in one group; the same pair may be held by several owners and ends with the last."""

    user_id: str
    group_id: str
    owner: Owner


@dataclass(frozen=True, slots=True)
class StoredPassword:
    """A password as kept; ``changed_at`` stays when only the hash is made anew, so it names the password."""

    hash: str
    changed_at: float


@dataclass(frozen=True, slots=True)
class SshKey:
    """An SSH public key of one user; ``blob`` is its wire form, ``fingerprint`` ``SHA256:…``."""

    id: str
    user_id: str
    algorithm: str
    blob: bytes
    fingerprint: str
    title: str = ""
    expires_at: float | None = None
    networks: tuple[str, ...] = ()
    read_only: bool = False
    created_at: float = 0.0
    last_used_at: float | None = None
    revoked_at: float | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key of one user; ``id`` is its public part and ``digest`` SHA-256 of the secret part."""

    id: str
    user_id: str
    digest: bytes
    title: str = ""
    protocols: frozenset[str] = frozenset()
    path_prefixes: tuple[str, ...] = ()
    read_only: bool = False
    networks: tuple[str, ...] = ()
    expires_at: float | None = None
    created_at: float = 0.0
    last_used_at: float | None = None
    revoked_at: float | None = None


@dataclass(frozen=True, slots=True)
class Folder:
    """A shared folder: a storage backend with its options; ``quota_bytes`` None means no limit."""

    id: str
    name: str
    backend: str
    options: dict[str, str]
    quota_bytes: int | None = None
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Grant:
    """Rights of one user or one group at one path of their tree.

    With ``folder_id``, the folder is mounted at ``path``. Without, it narrows or widens rights at
    and below ``path`` of whatever is mounted there. ``allow`` and ``deny`` hold right names; the
    deepest path decides, grants at the same path add up, and deny wins.
    """

    id: str
    path: str
    allow: frozenset[str]
    deny: frozenset[str] = frozenset()
    user_id: str | None = None
    group_id: str | None = None
    folder_id: str | None = None
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One live or ended session on some worker, as the registry shows it."""

    id: str
    user_id: str
    user_name: str
    front_end: str
    peer: str
    factor: str
    credential_id: str | None
    epoch: int
    worker: str
    opened_at: float
    seen_at: float
    ended_at: float | None = None
    end_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Revocation:
    """A wake-up for every worker, in the order of ``sequence``; names a user or one session."""

    sequence: int
    user_id: str | None
    session_id: str | None
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One thing that happened. ``subject`` is whom it is about, ``actor`` who did it."""

    id: int
    at: float
    kind: str
    actor: str
    subject: str
    outcome: str
    reason: str
    front_end: str = ""
    peer: str = ""
    session_id: str = ""
    detail: dict[str, object] | None = None
