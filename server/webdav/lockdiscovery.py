"""The lockdiscovery property (RFC 4918 section 15.8): the locks that reach a place, as XML."""

from __future__ import annotations

import time
from collections.abc import Iterable
from xml.sax.saxutils import escape

from server.webdav.places import Place, seen_at
from server.webdav.urls import href_of
from storage.database.locks import DavLock
from storage.files.path import VirtualPath


def active_locks(locks: Iterable[DavLock], path: VirtualPath, place: Place) -> str:
    """Give the ``activelock`` elements as the user who sees ``place`` at ``path`` must read them."""
    return "".join(_active_lock(lock, href_of(seen_at(lock, path, place), is_directory=False)) for lock in locks)


def _active_lock(lock: DavLock, root: str) -> str:
    left = max(int(lock.expires_at - time.time()), 0)
    return (
        "<D:activelock>"
        "<D:locktype><D:write/></D:locktype>"
        f"<D:lockscope><D:{'exclusive' if lock.exclusive else 'shared'}/></D:lockscope>"
        f"<D:depth>{'infinity' if lock.depth_infinity else '0'}</D:depth>"
        f"{lock.owner}"
        f"<D:timeout>Second-{left}</D:timeout>"
        f"<D:locktoken><D:href>{escape(lock.token)}</D:href></D:locktoken>"
        f"<D:lockroot><D:href>{escape(root)}</D:href></D:lockroot>"
        "</D:activelock>"
    )
