"""What every handler knows of the request it serves; kept in the WSGI environ by the endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from server.webdav.turns import Turns
from storage.database.locks import LockTable
from storage.database.properties import PropertyTable
from storage.files.api import Stat
from storage.files.errors import NotADirectory, NotFound
from storage.files.path import VirtualPath
from storage.files.workspace import Workspace

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Answer = Iterable[bytes]

KEY = "quaymaster.request"


@dataclass(frozen=True, slots=True)
class DavRequest:
    """One request of one session. ``path`` is the target in the user's tree."""

    workspace: Workspace
    path: VirtualPath
    user_id: str
    locks: LockTable
    properties: PropertyTable
    turns: Turns


def request_of(environ: Environ) -> DavRequest:
    """Give the request that the endpoint put into the environ; without one nothing is served (KeyError)."""
    request: DavRequest = environ[KEY]
    return request


def stat_or_none(workspace: Workspace, path: VirtualPath) -> Stat | None:
    """Facts about a place, or None if nothing is there."""
    try:
        return workspace.stat(path, committed=True)
    except (NotFound, NotADirectory):
        return None
