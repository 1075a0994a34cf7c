"""The one rule for names that people type, and for text that hostile clients send."""

from __future__ import annotations

import unicodedata

from storage.database.errors import InvalidName

MAX_NAME_LENGTH = 128
MAX_HOME_BYTES = 255
_FORBIDDEN = frozenset('/\\:*?"<>|')  # separators, and what no Windows client can show as a folder
_SURROGATES = range(0xD800, 0xE000)


def canonical_name(text: str) -> str:
    """Give the one form under which a login, group or folder name is stored and looked up.

    The form is NFC and casefolded (Unicode 3.13, canonical caseless matching), 1 to 128
    characters. The function is idempotent.

    Raises:
        InvalidName: empty or too long; control, format, private or unassigned characters; a slash,
            a backslash or one of ``: * ? " < > |``; a leading ``-``, ``.`` or ``@``; white space
            other than single inner blanks; a trailing dot.
    """
    if len(text) > MAX_NAME_LENGTH * 4:  # before any work that grows with the length
        raise InvalidName("The name is too long.")
    name = _folded(text)
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        raise InvalidName(f"A name has 1 to {MAX_NAME_LENGTH} characters.")
    for letter in name:
        category = unicodedata.category(letter)
        if category[0] == "C" or (category[0] == "Z" and letter != " ") or letter in _FORBIDDEN:
            raise InvalidName("The name has a character that is not allowed.")
    if name[0] in "-.@ " or name[-1] in ". " or "  " in name:
        raise InvalidName("A name must not begin with - . @ or a blank, end with a dot or a blank, or have two blanks.")
    return name


def canonical_login(text: str) -> str:
    r"""Give the one form of what a person may type to sign in: a name, or ``DOMAIN\name`` with both parts canonical.

    Raises InvalidName as :func:`canonical_name` does, for either part.
    """
    domain, backslash, name = text.partition("\\")
    return f"{canonical_name(domain)}\\{canonical_name(name)}" if backslash else canonical_name(text)


def checked_home(text: str) -> str:
    """Give the name of a home folder in NFC: one path segment of at most 255 bytes, or raise InvalidName."""
    home = unicodedata.normalize("NFC", text)
    if not storable(home) or not 1 <= len(home.encode()) <= MAX_HOME_BYTES:
        raise InvalidName("A home folder's name has 1 to 255 bytes of UTF-8.")
    if home[0] in ".-" or any(letter in "/\\" or unicodedata.category(letter) == "Cc" for letter in home):
        raise InvalidName("A home folder's name is one path segment that does not begin with . or -.")
    return home


def storable(text: str) -> bool:
    """Whether both databases can hold this text: no NUL (PostgreSQL) and no lone surrogate (UTF-8)."""
    if text.isascii():
        return "\0" not in text
    return "\0" not in text and not any(ord(letter) in _SURROGATES for letter in text)


def shown(text: str, limit: int = 256) -> str:
    """Make a client's text fit for a log row: control characters and surrogates replaced, cut to ``limit``."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    if cut.isprintable():  # nearly always, and neither category is printable
        return cut
    return "".join("\ufffd" if unicodedata.category(letter) in {"Cc", "Cs"} else letter for letter in cut)


def _folded(text: str) -> str:
    """Fold case until nothing changes: casefold may give a text that NFC composes into a new capital."""
    name = unicodedata.normalize("NFC", text)
    while (folded := unicodedata.normalize("NFC", name.casefold())) != name:
        name = folded
    return name
