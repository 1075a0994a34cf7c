"""The one place where commands speak to a directory: they look somebody up, test it, or run its sync.

What speaks LDAP is imported when it is needed: it takes longer to load than most commands take.
"""

from __future__ import annotations

import os
import re
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_backends.ldap.sync.api import Progress, Report, SyncBusy, Wish
from config.ldap import LdapProvider
from server.cli.output import Failure
from server.cli.quiet import quiet
from storage.database.names import shown
from storage.database.store import Store

if TYPE_CHECKING:
    from auth_backends.ldap.check import Stage
    from auth_backends.ldap.directory import Directory
    from auth_backends.ldap.entry import Entry

MAX_ID = 255
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{8}){3}")
MATCHES_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Person:
    """A person as the directory has them: the immutable id, and where the entry is (its DN)."""

    external_id: str
    dn: str


@dataclass(frozen=True, slots=True)
class Group:
    """A group as the directory has it. ``members`` counts the direct ones, as text: it may be ``1500 or more``."""

    external_id: str
    dn: str
    name: str
    members: str


def check(provider: LdapProvider, login: str | None = None) -> Iterator[Stage]:
    """Try everything that sign-ins and the sync need, and give each step as it ends."""
    from auth_backends.ldap.check import run_check  # noqa: PLC0415 - see above

    with quiet():
        yield from run_check(provider, login=login)


def run_sync(
    store: Store,
    name: str,
    provider: LdapProvider,
    wish: Wish,
    *,
    actor: str,
    listen: Callable[[Progress], None],
    stopping: Callable[[], bool],
) -> Report:
    """Run the sync of one provider. Raises Failure while another process runs it."""
    from auth_backends.ldap.sync.run import synchronise  # noqa: PLC0415 - see above

    holder = f"cli:{socket.gethostname()}:{os.getpid()}"
    try:
        with quiet():
            return synchronise(
                store, name, provider, wish, actor=actor, holder=holder, listen=listen, stopping=stopping
            )
    except SyncBusy:
        raise Failure(
            f"The sync of {name!r} is running already.",
            "the server's own job or another command runs it; two at once would undo each other's work",
            f"wait until it has ended: quaymaster sync status {name}",
        ) from None


def person(name: str, provider: LdapProvider, login: str) -> Person:
    """Find the one person whom the directory ``name`` knows by this login name. Raises Failure."""
    with _asked(name, provider) as directory:
        found = directory.look_up(login)
        if not found:
            raise Failure(
                f"{name} knows nobody by the name {login!r}.",
                "the entry must be below the base DN, match the user filter and have this login name or alias",
                f"see what the directory answers: quaymaster provider test {name} --login {login}",
            )
        if len(found) > 1:
            places = "; ".join(entry.dn for entry in found[:MATCHES_SHOWN])
            raise Failure(
                f"{name} knows {len(found)} people by the name {login!r}.",
                f"they are: {places}. Such a name is nobody's",
                "make the name unique in the directory",
            )
        external_id = _id_of(name, directory, found[0])
        if external_id == directory.service_account_id():
            raise Failure(
                f"{login!r} is the service account of {name}.",
                "it searches the directory and never signs in here",
                "choose the person's own name",
            )
        return Person(external_id, found[0].dn)


def group(name: str, provider: LdapProvider, *, external_id: str | None = None, called: str | None = None) -> Group:
    """Find one group of the directory ``name`` by its immutable id, or by a name that only one has. Raises Failure."""
    from auth_backends.ldap.vendors import escaped, id_filter, preset_of  # noqa: PLC0415 - see above

    preset = preset_of(provider)
    if external_id is not None:
        wanted, what = id_filter(preset, external_id), f"with the id {external_id!r}"
    else:
        wanted, what = f"({preset.group_name_attribute}={escaped(called or '')})", f"called {called!r}"
    base = provider.group_base_dn or provider.base_dn
    attributes = (preset.id_attribute, preset.group_name_attribute, *preset.member_attributes)
    with _asked(name, provider) as directory:
        found = directory.ask(
            lambda connection: connection.search(
                base, f"(&{preset.group_filter}{wanted})", attributes, limit=MATCHES_SHOWN
            ),
            directory.soon(),
        )
        if len(found) != 1:
            places = "; ".join(entry.dn for entry in found)
            raise Failure(
                f"{name} has {len(found) or 'no'} group{'s' if len(found) > 1 else ''} {what}.",
                f"they are: {places}" if found else f"it must be below {base} and match the group filter",
                "name the group by --group-id" if found else "correct the name or the id",
            )
        entry = found[0]
        called = shown(entry.text(preset.group_name_attribute) or entry.dn)
        return Group(_id_of(name, directory, entry), entry.dn, called, _members(entry, preset.member_attributes))


def canonical_id(provider: LdapProvider, text: str) -> str:
    """Give an immutable id that a person typed in the form in which it is kept. Raises Failure."""
    from auth_backends.ldap.vendors import preset_of  # noqa: PLC0415 - see above

    preset, given = preset_of(provider), text.strip()
    if preset.id_is_guid:
        try:
            return str(uuid.UUID(given))
        except ValueError:
            raise Failure(
                f"{given!r} is no {preset.id_attribute}.",
                "it is 32 hex digits in five groups, as in 6b1f2a9e-3c4d-4e5f-8a9b-0c1d2e3f4a5b",
                "quaymaster sync conflicts shows the ids of those who wait for a decision",
            ) from None
    if not given or shown(given, MAX_ID) != given:
        raise Failure(f"{given!r} is no id.", f"an id has 1 to {MAX_ID} characters, all of them visible")
    return given.lower() if _HEXADECIMAL.fullmatch(given) else given


def _members(entry: Entry, attributes: tuple[str, ...]) -> str:
    """Count direct members; Active Directory hands out large groups in ranges, and then the first one is counted."""
    names = {attribute.casefold() for attribute in attributes}
    counted = {name: len(values) for name, values in entry.attributes.items() if name.partition(";")[0] in names}
    total = sum(counted.values())
    return f"{total} or more" if any(";range=" in name for name in counted) else str(total)


def _id_of(name: str, directory: Directory, entry: Entry) -> str:
    from auth_backends.ldap.vendors import external_id_of  # noqa: PLC0415 - see above

    external_id = external_id_of(directory.preset, entry)
    if external_id is None:
        raise Failure(
            f"{name} gives no {directory.preset.id_attribute} for {entry.dn}.",
            "without the immutable id nobody can be linked",
            "let the service account read it, or correct --id-attribute",
        )
    return external_id


@contextmanager
def _asked(name: str, provider: LdapProvider) -> Iterator[Directory]:
    from auth_backends.ldap.directory import Directory  # noqa: PLC0415 - see above
    from auth_backends.ldap.errors import DirectoryUnreachable  # noqa: PLC0415 - see above

    directory = Directory(provider)
    try:
        with quiet():
            yield directory
    except DirectoryUnreachable as error:
        raise Failure(
            f"The directory {name} cannot be asked.",
            str(error),
            f"find out why with: quaymaster provider test {name}",
        ) from None
    finally:
        directory.close()
