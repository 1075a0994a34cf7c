"""An entry as a directory gave it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """``attributes`` are raw values by casefolded name, options included (``member;range=0-1499``)."""

    dn: str
    attributes: Mapping[str, tuple[bytes, ...]]

    def text(self, name: str) -> str | None:
        """Give the first value as text, or None; what is no UTF-8 is replaced."""
        values = self.attributes.get(name.casefold())
        return values[0].decode(errors="replace") if values else None

    def texts(self, name: str) -> tuple[str, ...]:
        """Give all values as text."""
        return tuple(value.decode(errors="replace") for value in self.attributes.get(name.casefold(), ()))

    def number(self, name: str) -> int | None:
        """Give the first value as a whole number, or None."""
        try:
            return int(self.text(name) or "")
        except ValueError:
            return None
