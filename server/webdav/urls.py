"""URLs of the WebDAV tree: from a request target to a VirtualPath and back. Decoded once, never twice."""

from __future__ import annotations

from urllib.parse import quote, unquote_to_bytes, urlsplit

from storage.files.errors import InvalidPath
from storage.files.path import VirtualPath

MOUNT = "/dav"

# Nautilus does not understand hrefs in which these are encoded; RFC 3986 lets them stand in a path.
_HREF_SAFE = "/!*'(),$-_.~@"


class BadDestination(Exception):
    """The Destination header cannot be used; ``status`` is what HTTP answers."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def is_below_mount(raw_path: bytes) -> bool:
    """Whether a raw request path belongs to the WebDAV tree."""
    mount = MOUNT.encode()
    return raw_path == mount or raw_path.startswith(mount + b"/")


def path_of(raw_path: bytes) -> VirtualPath:
    """Read the raw (still encoded) path of a request.

    Each segment is decoded once; dot segments, plain or encoded, are resolved inside the tree as on
    every front end, never above its root. Raises InvalidPath for an encoded slash (a proxy in front
    might have taken it for a real one), NUL or another control character, and what is not UTF-8.
    """
    if not is_below_mount(raw_path):
        raise InvalidPath("the path is outside the WebDAV tree")
    names: list[str] = []
    for segment in raw_path[len(MOUNT) :].split(b"/"):
        if not segment:
            continue
        decoded = unquote_to_bytes(segment)
        if b"/" in decoded:
            raise InvalidPath("the path has an encoded slash")
        try:
            names.append(decoded.decode("utf-8", "strict"))
        except UnicodeDecodeError:
            raise InvalidPath("the path is not UTF-8") from None
    return VirtualPath.parse("/" + "/".join(names))


def destination_of(header: str | None, host: str) -> VirtualPath:
    """Read the Destination header of COPY and MOVE (RFC 4918 section 10.3).

    It is an absolute URI of this server or an absolute path. The scheme may be http behind a proxy
    that ends TLS. Raises BadDestination (400 missing or malformed, 502 another server) and InvalidPath.
    """
    if not header:
        raise BadDestination(400, "The Destination header is missing.")
    try:
        parts = urlsplit(header.strip())
    except ValueError:
        raise BadDestination(400, "The Destination header is no URL.") from None
    if parts.scheme and parts.scheme.lower() not in {"http", "https"}:
        raise BadDestination(502, "The destination is on another server.")
    if parts.netloc and _host(parts.netloc) != _host(host):
        raise BadDestination(502, "The destination is on another server.")
    if parts.query or parts.fragment:
        raise BadDestination(400, "The destination has a query or fragment; encode these characters.")
    raw = parts.path.encode("latin-1", "replace")  # the bytes that came: some clients send UTF-8 unencoded
    if not is_below_mount(raw):
        raise BadDestination(502, "The destination is outside the WebDAV tree.")
    return path_of(raw)


def href_of(path: VirtualPath, *, is_directory: bool) -> str:
    """Give the encoded absolute path of a place; directories end with a slash."""
    text = quote(MOUNT + ("" if path.is_root else str(path)), safe=_HREF_SAFE)
    return text + "/" if is_directory else text


def quoted(name: str) -> str:
    """Encode one name for an href."""
    return quote(name, safe=_HREF_SAFE)


def _host(netloc: str) -> str:
    """Give the host without user and default port, in lower case."""
    host = netloc.rpartition("@")[2].lower()
    return host.removesuffix(":443").removesuffix(":80")
