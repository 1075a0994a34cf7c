"""Checks of the data folder, the disk, the database and who is in it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from config.secrets import masked_url
from config.settings import Settings
from server.cli.checks.check import Check, fail, ok, warn
from storage.database.errors import StoreError
from storage.database.migrate import SchemaState, schema_state
from storage.database.records import Role, Status, User
from storage.database.store import open_store

GIB = 1 << 30
LITTLE = 5 * GIB
TOO_LITTLE = GIB // 4


def check_data(settings: Settings) -> Check:
    """The data folder belongs to this user and nobody else can enter it."""
    data = settings.data.absolute()
    try:
        facts = data.stat()
    except FileNotFoundError:
        return _check_parent(data)
    except OSError as error:
        return fail("data folder", f"{data}: {error.strerror}", "give the service's user access to it")
    return _check_present(data, facts)


def _check_present(data: Path, facts: os.stat_result) -> Check:
    if not data.is_dir():
        return fail("data folder", f"{data} is not a directory", "correct the setting data")
    if facts.st_mode & 0o077:
        return fail(
            "data folder", f"{data} has mode {facts.st_mode & 0o777:o}: others can enter", f"run: chmod 700 {data}"
        )
    if not os.access(data, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        return fail("data folder", f"{data} cannot be written by this user", "give it to the service's user")
    if facts.st_uid != os.geteuid():
        return warn(
            "data folder",
            f"{data} belongs to user id {facts.st_uid}, and this command runs as {os.geteuid()}",
            "run quaymaster as the user that the server runs as, or files it makes will belong to the wrong one",
        )
    return ok("data folder", str(data))


def _check_parent(data: Path) -> Check:
    parent = _existing(data)
    if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK, effective_ids=True):
        return ok("data folder", f"{data} is made at the first start")
    return fail(
        "data folder",
        f"{data} is not there, and this user cannot make it in {parent}",
        "make it and give it to the service's user, or correct the setting data",
    )


def check_space(settings: Settings) -> Check:
    """There is room for uploads and for the database to grow."""
    place = _existing(settings.homes)
    usage = shutil.disk_usage(place)
    detail = f"{usage.free / GIB:.1f} GiB free of {usage.total / GIB:.1f} GiB at {place}"
    if usage.free < TOO_LITTLE:
        return fail("disk space", detail, "make room: uploads are refused when the disk is full")
    if usage.free < LITTLE:
        return warn("disk space", detail, "make room before uploads are refused")
    return ok("disk space", detail)


def check_database(settings: Settings) -> Check:
    """The database answers and has the tables of this version."""
    if settings.database.url is None and not settings.data.exists():
        return ok("database", "SQLite in the data folder, made at the first start")
    shown = masked_url(settings.database_url)
    try:
        state = schema_state(settings.database_url)
    except StoreError as error:
        return fail("database", f"{shown}: {error}", "start the database, or correct database.url")
    match state:
        case SchemaState.CURRENT:
            return ok("database", f"{shown}, schema current")
        case SchemaState.EMPTY:
            return ok("database", f"{shown}, empty: tables are made at the first start")
        case SchemaState.BEHIND:
            return warn("database", f"{shown} is from an older version", "back it up, then run: quaymaster migrate")
        case SchemaState.AHEAD:
            return fail("database", f"{shown} is from a newer version", "install the version that wrote it, or newer")


def check_people(settings: Settings) -> Check:
    """Somebody can administer the server."""
    try:
        active = _active(settings)
    except StoreError as error:
        return warn("users", f"not looked at: {error}", "see the line on the database")
    if not active:
        return warn("users", "none yet", "see docs/howto/first-admin.md")
    if not any(user.role is Role.ADMIN for user in active):
        return warn("users", f"{len(active)} active, none of them an admin", "see docs/howto/first-admin.md")
    if not any(user.break_glass for user in active):
        return warn(
            "users",
            f"{len(active)} active, no break-glass admin",
            "add one: quaymaster user add NAME --method local --break-glass",
        )
    without = sorted(user.name for user in active if user.break_glass and not user.totp_enrolled)
    if without:
        return warn(
            "users",
            f"break-glass admin without one-time codes, who cannot sign in: {', '.join(without)}",
            f"run: quaymaster user totp enrol {without[0]}",
        )
    return ok("users", f"{len(active)} active")


def _active(settings: Settings) -> list[User]:
    if schema_state(settings.database_url) is SchemaState.EMPTY:
        return []
    store = open_store(settings.database_url, pool_size=1)
    try:
        return store.users.list(status=Status.ACTIVE)
    finally:
        store.close()


def _existing(place: Path) -> Path:
    while not place.exists():
        place = place.parent
    return place
