"""VirtualPath: the only parser of a path that came from a client."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Self

from storage.files.errors import InvalidPath, NameTooLong

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4096
PLAIN_NAME = re.compile(r"[ -.0-~]{1,255}")  # printable ASCII without the slash
TEMP_PREFIX = ".quaymaster-upload-"  # names of uploads in flight; never listed, never addressable


@dataclass(frozen=True, slots=True, order=True)
class VirtualPath:
    """An absolute, normal path in a user's tree, as a tuple of NFC names.

    ``.`` and empty segments are dropped and ``..`` is resolved lexically, never above the root
    (POSIX: ``/..`` is ``/``), so that one text names one place whatever links are on the disk.
    A name is 1 to 255 bytes of UTF-8 without ``/``, NUL or other control characters, and is not
    one of the server's own temporary names.
    """

    names: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str | bytes, *, base: VirtualPath | None = None) -> Self:
        """Read a client's path; a relative one starts at ``base`` (default: the root).

        Raises:
            InvalidPath: not UTF-8, a control character, or a reserved name.
            NameTooLong: a name over 255 bytes, or the whole over 4096 bytes.
        """
        if isinstance(text, bytes):
            try:
                text = text.decode("utf-8", "strict")
            except UnicodeDecodeError:
                raise InvalidPath("the path is not UTF-8") from None
        names: list[str] = [] if text.startswith("/") or base is None else list(base.names)
        for segment in text.split("/"):
            if segment in {"", "."}:
                continue
            if segment == "..":
                if names:
                    names.pop()
                continue
            names.append(checked_name(segment))
        path = cls(tuple(names))
        if len(str(path).encode()) > MAX_PATH_BYTES:
            raise NameTooLong("the path is over 4096 bytes")
        return path

    @property
    def is_root(self) -> bool:
        """Whether this is ``/``."""
        return not self.names

    @property
    def name(self) -> str:
        """The last name; empty for the root."""
        return self.names[-1] if self.names else ""

    @property
    def parent(self) -> VirtualPath:
        """The directory that holds this place; the root is its own parent."""
        return VirtualPath(self.names[:-1])

    def child(self, name: str) -> VirtualPath:
        """Name an entry of this directory; raises like :meth:`parse`, and for ``.`` and ``..``."""
        if name in {"", ".", ".."}:
            raise InvalidPath("not a name")
        return VirtualPath((*self.names, checked_name(name)))

    def is_within(self, other: VirtualPath) -> bool:
        """Whether this is ``other`` or lies below it."""
        return self.names[: len(other.names)] == other.names

    def relative_to(self, other: VirtualPath) -> VirtualPath:
        """Give the rest below ``other``, as a path of its own; ``ValueError`` if not within."""
        if not self.is_within(other):
            message = f"{self} is not within {other}"
            raise ValueError(message)
        return VirtualPath(self.names[len(other.names) :])

    def joined(self, rest: VirtualPath) -> VirtualPath:
        """Append all names of ``rest``."""
        return VirtualPath(self.names + rest.names)

    def __str__(self) -> str:
        return "/" + "/".join(self.names)


def checked_name(segment: str) -> str:
    """Give one name in NFC, or raise InvalidPath or NameTooLong.

    macOS clients send decomposed names (NFD) and others composed ones; NFC makes them one file.
    """
    if PLAIN_NAME.fullmatch(segment) and not segment.startswith(TEMP_PREFIX):
        return segment  # printable ASCII, which nearly all names are: nothing to normalise or to find
    name = unicodedata.normalize("NFC", segment)
    try:
        size = len(name.encode("utf-8", "strict"))
    except UnicodeEncodeError:
        raise InvalidPath("the name is not UTF-8") from None
    if size > MAX_NAME_BYTES:
        raise NameTooLong("a name is over 255 bytes")
    if "/" in name or any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in name):  # noqa: PLR2004 - C0 and DEL
        raise InvalidPath("the name has a control character or a slash")
    if name.startswith(TEMP_PREFIX):
        raise InvalidPath("the name is reserved for uploads in flight")
    return name
