"""From facts to the XML of one response element. Text is built directly: it is 20 times faster than a tree."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from server.webdav.propfind import Mode, Wanted
from server.webdav.reading import LAST_SECOND, content_type, http_date
from storage.database.properties import Properties
from storage.files.api import Space, Stat

_NS = 1_000_000_000
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

SUPPORTED_LOCK = "".join(
    f"<D:lockentry><D:lockscope><D:{scope}/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>"
    for scope in ("exclusive", "shared")
)


@dataclass(frozen=True, slots=True)
class Resource:
    """What is known of one place when it is shown. ``locks`` is XML; ``space`` is asked only if it is wanted."""

    href: str
    name: str
    stat: Stat
    space: Callable[[], Space]
    dead: Properties = field(default_factory=dict)
    locks: str = ""


def _creation_date(resource: Resource) -> str | None:
    stat = resource.stat
    return iso_date(min(stat.changed_ns, stat.modified_ns) // _NS)


def _of_file(value: Callable[[Resource], str]) -> Callable[[Resource], str | None]:
    return lambda resource: None if resource.stat.is_directory else value(resource)


def _of_directory(value: Callable[[Resource], str]) -> Callable[[Resource], str | None]:
    return lambda resource: value(resource) if resource.stat.is_directory else None


LIVE: dict[str, Callable[[Resource], str | None]] = {
    "creationdate": _creation_date,
    "displayname": lambda resource: text(resource.name),
    "getcontentlength": _of_file(lambda resource: str(resource.stat.size)),
    "getcontenttype": _of_file(lambda resource: content_type(resource.name)),
    "getetag": _of_file(lambda resource: f'"{escape(resource.stat.version)}"'),
    "getlastmodified": lambda resource: http_date(resource.stat.modified_ns // _NS),
    "resourcetype": lambda resource: "<D:collection/>" if resource.stat.is_directory else "",
    "supportedlock": lambda _: SUPPORTED_LOCK,
    "lockdiscovery": lambda resource: resource.locks,
    "quota-available-bytes": _of_directory(lambda resource: str(max(resource.space().available, 0))),
    "quota-used-bytes": _of_directory(lambda resource: str(resource.space().used)),
}
"""Live properties by their local name; None means that the resource has none."""

_ONLY_NAMED = {"quota-available-bytes", "quota-used-bytes"}  # RFC 4331 section 2: not in allprop
_ALLPROP = {name: of for name, of in LIVE.items() if name not in _ONLY_NAMED}
_DAV = "{DAV:}"


def render(resource: Resource, wanted: Wanted) -> str:
    """Give the ``response`` element of one resource."""
    found: list[str] = []
    missing: list[str] = []
    match wanted.mode:
        case Mode.NAMED:
            _named(resource, wanted.names, found, missing)
        case Mode.ALL:
            found += [
                f"<D:{name}>{value}</D:{name}>" for name, of in _ALLPROP.items() if (value := of(resource)) is not None
            ]
            found += resource.dead.values()
            extra = [name for name in wanted.names if name.removeprefix(_DAV) in _ONLY_NAMED]
            _named(resource, extra, found, missing)
        case Mode.NAMES:
            found += [f"<D:{name}/>" for name, of in LIVE.items() if of(resource) is not None]
            found += [empty_element(name) for name in resource.dead]
    parts = [_propstat(found, "200 OK")] if found or not missing else []
    if missing:
        parts.append(_propstat(missing, "404 Not Found"))
    return f"<D:response><D:href>{resource.href}</D:href>{''.join(parts)}</D:response>\n"


def _named(resource: Resource, names: Iterable[str], found: list[str], missing: list[str]) -> None:
    for name in names:
        if name.startswith(_DAV):
            local = name.removeprefix(_DAV)
            getter = LIVE.get(local)
            value = None if getter is None else getter(resource)
            if value is not None:
                found.append(f"<D:{local}>{value}</D:{local}>")
                continue
        if (dead := resource.dead.get(name)) is not None:
            found.append(dead)
        else:
            missing.append(empty_element(name))


def _propstat(properties: list[str], status: str) -> str:
    return f"<D:propstat><D:prop>{''.join(properties)}</D:prop><D:status>HTTP/1.1 {status}</D:status></D:propstat>"


@functools.lru_cache(maxsize=1024)
def empty_element(name: str) -> str:
    """Give an empty element of a name in Clark notation."""
    if name.startswith(_DAV):
        return f"<D:{name.removeprefix(_DAV)}/>"
    if name.startswith("{"):
        namespace, _, local = name[1:].partition("}")
        return f"<x:{local} xmlns:x={quoteattr(namespace)}/>"
    return f"<{name}/>"


def text(value: str) -> str:
    """Escape a text; characters that XML cannot hold become U+FFFD."""
    return escape(_NOT_XML.sub("\ufffd", value))


@functools.lru_cache(maxsize=8192)
def iso_date(seconds: int) -> str:
    """Give Unix seconds as RFC 3339 shows them, within the years that :func:`http_date` shows."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(min(max(seconds, 0), LAST_SECOND)))
