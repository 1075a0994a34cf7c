"""The body of a PROPFIND (RFC 4918 section 9.1): what is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from wsgidav.dav_error import DAVError

from server.webdav.limits import MAX_NAMES_ASKED

_DAV = "{DAV:}"


class Mode(Enum):
    """Which properties of a resource are wanted."""

    ALL = auto()
    NAMES = auto()
    NAMED = auto()


@dataclass(frozen=True, slots=True)
class Wanted:
    """``names`` in Clark notation: those of NAMED, or those that ALL includes besides."""

    mode: Mode
    names: tuple[str, ...] = ()


def wanted_from(root: Any) -> Wanted:
    """Read a parsed body; an empty one asks for all. WsgiDAV 4.4.0 looks for ``name`` instead of ``propname``.

    Raises DAVError 400, or 413 for too many names.
    """
    if root is None:
        return Wanted(Mode.ALL)
    if root.tag != f"{_DAV}propfind":
        raise DAVError(400, "The body is no propfind.")
    modes: list[Mode] = []
    names: list[str] = []
    for child in root:
        match child.tag:
            case "{DAV:}allprop":
                modes.append(Mode.ALL)
            case "{DAV:}propname":
                modes.append(Mode.NAMES)
            case "{DAV:}prop":
                modes.append(Mode.NAMED)
                names += [name.tag for name in child]
            case "{DAV:}include":
                names += [name.tag for name in child]
    if len(modes) != 1:
        raise DAVError(400, "A propfind holds one of allprop, propname and prop.")
    unique = tuple(dict.fromkeys(name for name in names if isinstance(name, str)))
    if sum(map(len, unique)) > MAX_NAMES_ASKED:  # those that are missing come back for every member
        raise DAVError(413, "The propfind names too many properties.")
    return Wanted(modes[0], unique)
