"""The only writer of users, groups, memberships, credentials, folders and grants.

One transaction per Change: check, write the rows, raise the epoch of every affected user, add one
revocation per affected user, write one audit event. All of it or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, update
from sqlalchemy.exc import DataError, IntegrityError

from storage.database.appliers.credentials import apply_credential_change
from storage.database.appliers.effect import Also, Effect, chunks
from storage.database.appliers.folders import apply_folder_change
from storage.database.appliers.groups import apply_group_change
from storage.database.appliers.migrations import apply_migration_change
from storage.database.appliers.providers import apply_provider_change
from storage.database.appliers.scim import apply_scim_change
from storage.database.appliers.sources import apply_source_change
from storage.database.appliers.totp import apply_totp_change
from storage.database.appliers.users import apply_user_change
from storage.database.audit import insert_events
from storage.database.change_types import (
    UNSET,
    AddApiKey,
    AddMember,
    AddSshKey,
    AdoptUser,
    Change,
    CreateFolder,
    CreateGroup,
    CreateUser,
    DeleteFolder,
    DeleteGrant,
    DeleteGroup,
    DeleteProvider,
    DeleteUser,
    Depart,
    DepartGroup,
    LinkIdentity,
    MapRole,
    Provision,
    ProvisionGroup,
    PutGrant,
    PutProvider,
    RemoveMember,
    RenameUser,
    RevokeApiKey,
    RevokeSshKey,
    SetMethod,
    SetPassword,
    SetStatus,
    UnlinkIdentity,
    UnmapRole,
    Unset,
    UpdateUser,
    UserFields,
)
from storage.database.engine import AdvisoryLock, Database
from storage.database.errors import Conflict, InvalidChange, NotFoundInStore
from storage.database.jit_changes import SignInJit
from storage.database.migration_changes import MarkPilot, MigrateUser, UndoMigration, UnmarkPilot
from storage.database.revocations import insert_revocations
from storage.database.tables import users
from storage.database.totp_changes import EnrolTotp, RemoveTotp

__all__ = [
    "UNSET",
    "AddApiKey",
    "AddMember",
    "AddSshKey",
    "AdoptUser",
    "Applied",
    "Change",
    "CreateFolder",
    "CreateGroup",
    "CreateUser",
    "DeleteFolder",
    "DeleteGrant",
    "DeleteGroup",
    "DeleteProvider",
    "DeleteUser",
    "Depart",
    "DepartGroup",
    "LinkIdentity",
    "MapRole",
    "Provision",
    "ProvisionGroup",
    "PutGrant",
    "PutProvider",
    "RemoveMember",
    "RenameUser",
    "RevokeApiKey",
    "RevokeSshKey",
    "SetMethod",
    "SetPassword",
    "SetStatus",
    "SignInJit",
    "UnlinkIdentity",
    "UnmapRole",
    "Unset",
    "UpdateUser",
    "UserFields",
    "apply",
    "apply_each",
]

_RAISE = (
    update(users)
    .where(users.c.id.in_(bindparam("ids", expanding=True)))
    .values(epoch=users.c.epoch + 1, updated_at=bindparam("now"))
)


@dataclass(frozen=True, slots=True)
class Applied:
    """What a change did.

    ``subject_id`` is the id of the row it made or changed (for a membership or identity: the
    user's). ``users`` are the ids of those whose epoch was raised. ``changed`` is False when
    everything already was so; then no epoch was raised. ``detail`` is what the audit event says.
    """

    subject_id: str
    users: tuple[str, ...]
    changed: bool
    detail: Mapping[str, object] = field(default_factory=dict)


def apply(database: Database, change: Change, *, actor: str, now: float) -> Applied:
    """Make the change, or raise a StoreError and leave everything as it was."""
    # The lock orders changes on all nodes: the check for the last break-glass admin holds until the commit,
    # two changes of one user cannot raise the epoch to the same value, and revocations commit in order.
    with database.write(lock=AdvisoryLock.CHANGES) as tx:
        return _applied(tx, change, actor, now)


def apply_each(
    database: Database, changes: Iterable[Change], *, actor: str, now: float
) -> list[Applied | Conflict | InvalidChange | NotFoundInStore]:
    """Make many changes in one transaction; one that is refused is undone alone, and its answer is the refusal.

    Any other StoreError undoes all of them.
    """
    answers: list[Applied | Conflict | InvalidChange | NotFoundInStore] = []
    with database.write(lock=AdvisoryLock.CHANGES) as tx:
        for change in changes:
            try:
                with tx.begin_nested():
                    answers.append(_applied(tx, change, actor, now))
            except (Conflict, InvalidChange, NotFoundInStore) as refusal:
                answers.append(refusal)
            except (IntegrityError, DataError) as error:  # an admin deleted what the change needs, or the like
                answers.append(Conflict(f"The database refused the change ({type(error.orig).__name__})."))
    return answers


def _applied(tx: Connection, change: Change, actor: str, now: float) -> Applied:
    effect = _perform(tx, change, actor, now)
    _raise_epochs(tx, effect.users, now)
    insert_revocations(tx, effect.users, effect.kind, now)
    events: list[Effect | Also] = [effect, *effect.also]
    insert_events(tx, [_event(one, actor, now) for one in events])
    return Applied(effect.subject_id, effect.users, effect.changed, effect.detail)


def _perform(tx: Connection, change: Change, actor: str, now: float) -> Effect:  # noqa: PLR0911 - one for each kind
    match change:
        case (
            CreateUser()
            | UpdateUser()
            | SetStatus()
            | RenameUser()
            | SetMethod()
            | SetPassword()
            | DeleteUser()
            | LinkIdentity()
            | UnlinkIdentity()
        ):
            return apply_user_change(tx, change, now)
        case CreateGroup() | DeleteGroup() | AddMember() | RemoveMember():
            return apply_group_change(tx, change, now)
        case AddSshKey() | RevokeSshKey() | AddApiKey() | RevokeApiKey():
            return apply_credential_change(tx, change, now)
        case EnrolTotp() | RemoveTotp():
            return apply_totp_change(tx, change, now)
        case CreateFolder() | DeleteFolder() | PutGrant() | DeleteGrant():
            return apply_folder_change(tx, change, now)
        case Provision() | SignInJit() | Depart() | AdoptUser() | ProvisionGroup() | DepartGroup():
            return apply_source_change(tx, change, now)
        case PutProvider() | DeleteProvider() | MapRole() | UnmapRole():
            return apply_provider_change(tx, change, actor, now)
        case MigrateUser() | UndoMigration() | MarkPilot() | UnmarkPilot():
            return apply_migration_change(tx, change, actor, now)
        case _:
            return apply_scim_change(tx, change, actor, now)


def _raise_epochs(tx: Connection, user_ids: Iterable[str], now: float) -> None:
    for chunk in chunks(user_ids):
        tx.execute(_RAISE, {"ids": chunk, "now": now})


def _event(effect: Effect | Also, actor: str, now: float) -> dict[str, object]:
    changed = isinstance(effect, Also) or effect.changed
    return {
        "at": now,
        "kind": effect.kind,
        "actor": actor,
        "subject": effect.subject,
        "outcome": "applied" if changed else "unchanged",
        "reason": "",
        "front_end": "",
        "peer": "",
        "session_id": "",
        "detail": {"subject_id": effect.subject_id, **effect.detail},
    }
