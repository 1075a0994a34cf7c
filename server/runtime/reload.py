"""What a reload may change while the server runs."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from config.errors import ConfigError
from config.settings import Settings

log = structlog.get_logger(__name__)

FIXED = (
    ("data",),
    ("listen",),
    ("workers",),
    ("sftp", "enabled"),
    ("sftp", "port"),
    ("ftps", "enabled"),
    ("ftps", "port"),
    ("ftps", "implicit_port"),
    ("http", "enabled"),
    ("http", "port"),
    ("database", "url"),
)
"""Settings that sockets, processes or the data folder's lock were made from: they need a restart."""


def reloaded(present: Settings, load: Callable[[], Settings]) -> Settings | None:
    """Read the settings again; those that need a restart stay, with a warning. None if they have mistakes."""
    try:
        wanted = load()
    except ConfigError as error:
        log.error("reload.refused", why=str(error))  # noqa: TRY400 - the mistakes are the operator's, no traceback
        return None
    waiting = [path for path in FIXED if _get(wanted, path) != _get(present, path)]
    if waiting:
        log.warning("reload.needs_restart", settings=[".".join(path) for path in waiting])
    for path in waiting:
        wanted = _put(wanted, path, _get(present, path))
    return wanted


def _get(settings: Settings, path: tuple[str, ...]) -> object:
    value: object = settings
    for name in path:
        value = getattr(value, name)
    return value


def _put(settings: Settings, path: tuple[str, ...], value: object) -> Settings:
    *sections, name = path
    if not sections:
        return settings.model_copy(update={name: value})
    section = getattr(settings, sections[0])
    return settings.model_copy(update={sections[0]: section.model_copy(update={name: value})})
