"""The changes that can be made to the user store, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from storage.database.jit_changes import SignInJit
from storage.database.migration_changes import MigrationChange
from storage.database.records import Method, Owner, Role, Status
from storage.database.scim_changes import ScimChange
from storage.database.totp_changes import TotpChange


class Unset(Enum):
    """The type of UNSET: a field that a change leaves as it is (``None`` may be a value)."""

    UNSET = "unset"


UNSET = Unset.UNSET


# Users --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CreateUser:
    """Make an active user. ``home`` defaults to the name; ``password_hash`` only for local methods.

    ``external_id`` links the user to a person at ``provider``, who was last seen at ``hint``.
    """

    name: str
    method: Method
    display_name: str = ""
    email: str = ""
    provider: str | None = None
    role: Role = Role.USER
    break_glass: bool = False
    managed_by: Owner = Owner.MANUAL
    home: str | None = None
    quota_bytes: int | None = None
    protocols: frozenset[str] = frozenset()
    networks: tuple[str, ...] = ()
    expires_at: float | None = None
    password_hash: str | None = field(default=None, repr=False)
    external_id: str | None = None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class UserFields:
    """New values of a user's fields; what is UNSET stays."""

    display_name: str | Unset = UNSET
    email: str | Unset = UNSET
    role: Role | Unset = UNSET
    break_glass: bool | Unset = UNSET
    managed_by: Owner | Unset = UNSET
    home: str | Unset = UNSET
    quota_bytes: int | Unset | None = UNSET
    protocols: frozenset[str] | Unset = UNSET
    networks: tuple[str, ...] | Unset = UNSET
    expires_at: float | Unset | None = UNSET
    totp_enrolled: bool | Unset = UNSET


@dataclass(frozen=True, slots=True)
class UpdateUser:
    """Change fields of a user."""

    user_id: str
    fields: UserFields


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Disable, deprovision or enable a user."""

    user_id: str
    status: Status


@dataclass(frozen=True, slots=True)
class RenameUser:
    """Give a user another login name; the old one stays reserved for this user."""

    user_id: str
    name: str


@dataclass(frozen=True, slots=True)
class SetMethod:
    """Give a user another way to prove who they are; a stored password ends with the local methods.

    A user whom a directory managed is the site's own from then on, if the provider is another one.
    """

    user_id: str
    method: Method
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class SetPassword:
    """Set or replace the password of a user with a local method; ``None`` takes it away."""

    user_id: str
    password_hash: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeleteUser:
    """Remove a user with all credentials, grants and memberships; name and home stay reserved."""

    user_id: str


@dataclass(frozen=True, slots=True)
class LinkIdentity:
    """Link a user to the immutable id of a person at a provider; ``hint`` is where the person is there (a DN)."""

    user_id: str
    provider: str
    external_id: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class UnlinkIdentity:
    """Remove such a link."""

    user_id: str
    provider: str
    external_id: str


# Groups -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CreateGroup:
    """Make an empty group."""

    name: str
    managed_by: Owner = Owner.MANUAL


@dataclass(frozen=True, slots=True)
class DeleteGroup:
    """Remove a group with its memberships and grants."""

    group_id: str


@dataclass(frozen=True, slots=True)
class AddMember:
    """Let ``owner`` hold a user in a group; other owners' memberships stay beside it."""

    user_id: str
    group_id: str
    owner: Owner = Owner.MANUAL


@dataclass(frozen=True, slots=True)
class RemoveMember:
    """End the membership that ``owner`` holds; the user stays while another owner holds one."""

    user_id: str
    group_id: str
    owner: Owner = Owner.MANUAL


# Credentials --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddSshKey:
    """Give a user an SSH key in wire form; a user has the same key at most once unrevoked."""

    user_id: str
    algorithm: str
    blob: bytes = field(repr=False)
    fingerprint: str
    title: str = ""
    expires_at: float | None = None
    networks: tuple[str, ...] = ()
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class RevokeSshKey:
    """End an SSH key for good."""

    key_id: str


@dataclass(frozen=True, slots=True)
class AddApiKey:
    """Give a user an API key: ``id`` is its public part, ``digest`` SHA-256 of the secret part."""

    user_id: str
    id: str
    digest: bytes = field(repr=False)
    title: str = ""
    protocols: frozenset[str] = frozenset()
    path_prefixes: tuple[str, ...] = ()
    read_only: bool = False
    networks: tuple[str, ...] = ()
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class RevokeApiKey:
    """End an API key for good."""

    key_id: str


# Folders ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CreateFolder:
    """Make a shared folder on a storage backend; nobody sees it before a grant."""

    name: str
    backend: str = "local"
    options: Mapping[str, str] = field(default_factory=dict)
    quota_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class DeleteFolder:
    """Remove a shared folder and its grants; the files stay in the backend."""

    folder_id: str


@dataclass(frozen=True, slots=True)
class PutGrant:
    """Set the rights of one user or one group at a path.

    Replaces that holder's grant of the same path and folder. With ``folder_id`` the folder is
    mounted there.
    """

    path: str
    allow: frozenset[str]
    deny: frozenset[str] = frozenset()
    user_id: str | None = None
    group_id: str | None = None
    folder_id: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteGrant:
    """Remove a grant."""

    grant_id: str


# Sources ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Provision:
    """What a source (a directory, a SCIM client) says of one person, as a whole.

    Makes the user of ``(provider, external_id)`` if there is none, or changes what the source owns
    of the present one: name, display name, e-mail, expiry, status, aliases, its own memberships, and
    a role that it gave itself. ``groups`` are the ids of groups that the source holds the user in;
    ``aliases`` are canonical. ``role`` None means that the source gives none. ``home``, ``protocols``
    count for a new user only. A user of another source is a Conflict.
    """

    provider: str
    owner: Owner
    method: Method
    external_id: str
    name: str
    display_name: str = ""
    email: str = ""
    expires_at: float | None = None
    active: bool = True
    aliases: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    role: Role | None = None
    hint: str = ""
    home: str | None = None
    protocols: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Depart:
    """The source no longer has the person: the user ends, and can come back with the same external id."""

    provider: str
    owner: Owner
    external_id: str
    delete: bool = False


@dataclass(frozen=True, slots=True)
class AdoptUser:
    """Hand an existing user to a source: link, method and ownership change; home, keys and grants stay."""

    user_id: str
    provider: str
    owner: Owner
    method: Method
    external_id: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ProvisionGroup:
    """What a source says of one group: made, or renamed. A group of another source with this name is a Conflict."""

    provider: str
    owner: Owner
    external_id: str
    name: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class DepartGroup:
    """The source no longer has the group: its memberships end; the group stays if others or grants need it."""

    provider: str
    owner: Owner
    external_id: str


@dataclass(frozen=True, slots=True)
class PutProvider:
    """Keep a provider, or replace the kept one of this name. ``secrets`` are sealed, by option."""

    name: str
    kind: str
    options: Mapping[str, object]
    secrets: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeleteProvider:
    """Forget a provider; a Conflict while a user belongs to it.

    ``shadowed`` says that the site has another one of this name elsewhere, which the users belong to: then nothing but
    the kept settings goes.
    """

    name: str
    shadowed: bool = False


@dataclass(frozen=True, slots=True)
class MapRole:
    """Confirm that members of this group at this provider have this role."""

    provider: str
    external_id: str
    role: Role
    group_name: str


@dataclass(frozen=True, slots=True)
class UnmapRole:
    """End such a mapping; those who had the role by it lose it with the next run of the sync."""

    provider: str
    external_id: str


UserChange = (
    CreateUser
    | UpdateUser
    | SetStatus
    | RenameUser
    | SetMethod
    | SetPassword
    | DeleteUser
    | LinkIdentity
    | UnlinkIdentity
)
GroupChange = CreateGroup | DeleteGroup | AddMember | RemoveMember
CredentialChange = AddSshKey | RevokeSshKey | AddApiKey | RevokeApiKey
FolderChange = CreateFolder | DeleteFolder | PutGrant | DeleteGrant
SourceChange = Provision | SignInJit | Depart | AdoptUser | ProvisionGroup | DepartGroup
ProviderChange = PutProvider | DeleteProvider | MapRole | UnmapRole
SsoChange = ScimChange | MigrationChange
Change = (
    UserChange | GroupChange | CredentialChange | FolderChange | SourceChange | ProviderChange | SsoChange | TotpChange
)
