"""Everything that the user store may answer instead of a result.

StoreError
|-- StoreUnavailable       cannot tell: callers fail closed
|-- SchemaTooOld           the database must be migrated first
|-- SchemaTooNew           the database was migrated by a newer release
|-- Conflict               the change contradicts what is there; ``message`` is for people
|   |-- Taken              the name or the immutable id is somebody's already
|   |-- Stale              the row has changed since the change was made
|   `-- Held               the circuit breaker: an admin must approve first
|-- NotFoundInStore        the change names something that is not there
`-- InvalidChange          the change itself makes no sense
    `-- InvalidName        the text cannot be a login, group or folder name
"""

from __future__ import annotations


class StoreError(Exception):
    """The user store refused or failed; nothing was changed. ``message`` may be shown to an admin."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class StoreUnavailable(StoreError):
    """Cannot tell: the database is gone, locked for too long, or broken."""


class SchemaTooOld(StoreError):
    """The database lacks migrations (or is empty); run ``migrate`` first."""


class SchemaTooNew(StoreError):
    """A newer release migrated the database; this one must not touch it."""


class Conflict(StoreError):
    """What is in the store forbids the change: a taken name, the last break-glass admin."""


class Taken(Conflict):
    """A name or an immutable id is somebody's already; ``holder`` is that user's or group's id, if it is known.

    ``held_as`` says what it is to the holder: ``name``, ``alias``, ``reserved`` (a former name) or ``link``.
    """

    def __init__(self, message: str, holder: str = "", held_as: str = "") -> None:
        super().__init__(message)
        self.holder = holder
        self.held_as = held_as


class Stale(Conflict):
    """The change was made from an older version of the row."""


class Held(Conflict):
    """More people would lose access within a day than may without an admin's word; nothing was changed."""

    def __init__(self, message: str, user_id: str = "") -> None:
        super().__init__(message)
        self.user_id = user_id


class NotFoundInStore(StoreError):
    """The user, group, key, folder or grant that the change names does not exist."""


class InvalidChange(StoreError):
    """A value of the change is out of range or contradicts another one."""


class InvalidName(InvalidChange):
    """The text cannot be a login, group or folder name."""
