"""The group of Quaymaster's own that every new user of a provider is put into."""

from __future__ import annotations

from collections.abc import Callable

from storage.database.changes import Applied, CreateGroup
from storage.database.names import canonical_name
from storage.database.store import Store


def default_group(
    store: Store, name: str | None, make: Callable[[CreateGroup], Applied], taken: type[Exception]
) -> str | None:
    """Give the id of the group, made by ``make`` if it is missing; None where the provider has none.

    ``taken`` is what ``make`` raises if another worker has made it meanwhile; it is raised on if there is still none.
    """
    if name is None:
        return None
    key = canonical_name(name)
    known = store.groups.by_name(key)
    if known is None:
        try:
            return make(CreateGroup(name)).subject_id
        except taken:
            known = store.groups.by_name(key)
            if known is None:
                raise
    return known.id
