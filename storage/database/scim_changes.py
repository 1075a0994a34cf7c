"""The changes that a SCIM client makes, and those of its tokens and of what waits for an admin, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from storage.database.records import Method

Document = Mapping[str, object]
"""A resource as the client said it: JSON without id, meta, groups and password."""


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """What counts of a user's document. ``external_id`` empty means that the client gave none."""

    user_name: str
    external_id: str = ""
    display_name: str = ""
    email: str = ""
    emails: tuple[str, ...] = ()
    active: bool = True


@dataclass(frozen=True, slots=True)
class EndLimit:
    """How many people a client may put out within a day: so many, or this share of the active ones if that is more."""

    count: int = 20
    percent: int = 10


# People -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ScimCreateUser:
    """Make the user of a person, or bring back the one whom the client deleted under the same external id.

    ``default_group`` is the id of a group that the user joins; ``protocols`` are a new user's, and
    ``home_by_id`` names the new home after our id instead of the login name. ``limit`` counts where the person who
    came by signing in, and is an active user, comes inactive.
    """

    provider: str
    method: Method
    facts: PersonFacts
    document: Document
    default_group: str | None = None
    home_by_id: bool = False
    limit: EndLimit | None = EndLimit()
    protocols: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ScimUpdateUser:
    """Put a document in place of the present one, if that still has the ``version`` that this one was made from.

    ``limit`` None means that an admin has approved: the circuit breaker does not count. ``says_active`` is whether the
    client's own words were of access: only they take back an end that waits.
    """

    provider: str
    user_id: str
    facts: PersonFacts
    document: Document
    version: int
    limit: EndLimit | None = EndLimit()
    says_active: bool = True


@dataclass(frozen=True, slots=True)
class ScimDeleteUser:
    """The client has deleted the person: the user ends and is not found any more, but can be brought back."""

    provider: str
    user_id: str
    limit: EndLimit | None = EndLimit()
    version: int | None = None


@dataclass(frozen=True, slots=True)
class RestoreUser:
    """Let the client find a user again whom it deleted; whether the user may come in is as the client says next."""

    user_id: str


# Groups -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddMembers:
    """Hold these users in the group, too."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemoveMembers:
    """Hold these users in the group no longer; whoever is not in it stays out."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReplaceMembers:
    """Hold exactly these users in the group."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClearMembers:
    """Hold nobody in the group."""


MemberStep = AddMembers | RemoveMembers | ReplaceMembers | ClearMembers


@dataclass(frozen=True, slots=True)
class ScimCreateGroup:
    """Make a group of a client; a name that another source's group has gets the provider's name behind it.

    ``document`` has the extensions and nothing else.
    """

    provider: str
    display_name: str
    external_id: str = ""
    members: tuple[str, ...] = ()
    document: Document = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScimUpdateGroup:
    """Change a client's group by deltas, in their order; None leaves a field as it is. ``version`` None means any.

    ``document`` takes the place of the present extensions.
    """

    provider: str
    group_id: str
    display_name: str | None = None
    external_id: str | None = None
    steps: tuple[MemberStep, ...] = ()
    version: int | None = None
    document: Document | None = None


@dataclass(frozen=True, slots=True)
class ScimDeleteGroup:
    """The client has deleted the group: its memberships end; the group stays if others or grants need it."""

    provider: str
    group_id: str
    version: int | None = None


# What waits for an admin --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ApproveEnds:
    """An admin has seen the ends that wait at a provider: these users end, and the ends so far count no more.

    ``ends`` are the users whom the admin was shown, each with the action that was shown (disable or delete); whoever
    came after them, or is to end otherwise by now, keeps waiting.
    """

    provider: str
    ends: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class DismissEnds:
    """An admin says that these users stay; what the client asked for them is forgotten."""

    provider: str
    user_ids: tuple[str, ...]


# Tokens -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddScimToken:
    """Let a client in with a secret whose SHA-256 is ``digest``.

    ``others_until`` ends the provider's other tokens at that time at the latest; None leaves them.
    """

    provider: str
    id: str
    kind: str
    digest: bytes = field(repr=False)
    expires_at: float
    title: str = ""
    others_until: float | None = None


@dataclass(frozen=True, slots=True)
class ExtendScimToken:
    """Let a token end at another time."""

    token_id: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class RevokeScimToken:
    """End a token for good."""

    token_id: str


@dataclass(frozen=True, slots=True)
class WarnScimToken:
    """Write down that a token ends within so many days; a warning that was given already changes nothing."""

    token_id: str
    days: int


ScimUserChange = ScimCreateUser | ScimUpdateUser | ScimDeleteUser | RestoreUser
ScimGroupChange = ScimCreateGroup | ScimUpdateGroup | ScimDeleteGroup
ScimWaitingChange = ApproveEnds | DismissEnds
ScimTokenChange = AddScimToken | ExtendScimToken | RevokeScimToken | WarnScimToken
ScimChange = ScimUserChange | ScimGroupChange | ScimWaitingChange | ScimTokenChange
