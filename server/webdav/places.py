"""Places: where a path of the user's tree really lies, so that locks and properties mean the same for everybody."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

from server.webdav.request import DavRequest
from storage.database.locks import DavLock
from storage.files.errors import NotFound
from storage.files.path import VirtualPath


@dataclass(frozen=True, slots=True)
class Place:
    """A backend root (``home:<user id>``, ``folder:<folder id>``) and the path inside it."""

    tree: str
    path: VirtualPath

    @property
    def key(self) -> str:
        """The path as the tables keep it."""
        return str(self.path)

    @property
    def reference(self) -> str:
        """One text for both, in the form of a URL path, as WsgiDAV hands it to its lock manager."""
        return f"/{quote(self.tree, safe='')}{quote(self.key)}"

    @classmethod
    def from_reference(cls, reference: str) -> Place:
        """Undo :attr:`reference`."""
        tree, _, rest = reference.removeprefix("/").partition("/")
        return cls(unquote(tree), VirtualPath.parse("/" + unquote(rest)))


def place_of(request: DavRequest, path: VirtualPath) -> Place:
    """Say where a path lies; directories that only lead down to a mount belong to the user's own view."""
    try:
        tree, inner = request.workspace.place(path)
    except NotFound:
        return Place(f"view:{request.user_id}", path)
    return Place(tree, inner)


def seen_at(lock: DavLock, path: VirtualPath, place: Place) -> VirtualPath:
    """Say where the user who sees ``place`` at ``path`` sees the root of a lock above, on or below it."""
    root = VirtualPath.parse(lock.path)
    if root.is_within(place.path):
        return path.joined(root.relative_to(place.path))
    levels_up = len(place.path.names) - len(root.names)
    return VirtualPath(path.names[: len(path.names) - levels_up])
