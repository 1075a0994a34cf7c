"""Distinguished names (RFC 4514), compared as directories compare them: without regard to case and spacing."""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\([0-9A-Fa-f]{2}|.)", re.DOTALL)
_SPECIAL = re.compile(r'[\\"+<>;#]')
_SEPARATORS = re.compile(r"[\\,+=]")


def folded_dn(dn: str) -> str:
    """Give one form for all ways to write the same name; a text that is no name is only folded."""
    try:
        return ",".join(_parts(dn))
    except ValueError:
        return dn.casefold()


def is_name(text: str) -> bool:
    """Whether a text can be read as a name of at least one part."""
    try:
        return bool(_parts(text))
    except ValueError:
        return False


def is_within(dn: str, base: str) -> bool:
    """Whether an entry is the base or below it. A text that is no name is in nothing."""
    try:
        inner, outer = _parts(dn), _parts(base)
    except ValueError:
        return False
    return bool(outer) and inner[-len(outer) :] == outer


def same_dn(one: str, other: str) -> bool:
    """Whether two names name the same entry."""
    return is_within(one, other) and is_within(other, one)


def _parts(dn: str) -> list[str]:
    """Give the folded parts of a name. Raises ValueError."""
    if _SPECIAL.search(dn) is None:
        return [_pair(part) for part in dn.split(",")] if dn.strip() else []
    return ["+".join(sorted(_pair(pair) for pair in part)) for part in _split(dn)]


def _split(dn: str) -> list[list[str]]:
    """Split at commas (RFC 2253: also semicolons) and plus signs that are neither escaped nor quoted."""
    parts: list[list[str]] = []
    pairs: list[str] = []
    text, quoted, at = "", False, 0
    while at < len(dn):
        letter = dn[at]
        if letter == "\\":
            text += dn[at : at + 2]
            at += 1
        elif letter == '"':
            quoted = not quoted
        elif quoted:
            text += "\\" + letter if letter in ",+;=" else letter
        elif letter in ",;":
            parts.append([*pairs, text])
            pairs, text = [], ""
        elif letter == "+":
            pairs.append(text)
            text = ""
        else:
            text += letter
        at += 1
    if quoted:
        raise ValueError("an open quotation mark")
    return [*parts, [*pairs, text]]


def _pair(text: str) -> str:
    """Fold ``type=value``; the value's separators are escaped, so that no value looks like two parts."""
    kind, equals, value = text.partition("=")
    kind = kind.strip().casefold()
    if not equals or not kind:
        raise ValueError("a part without a type")
    folded = " ".join(_unescaped(value).casefold().split())
    return f"{kind}={_SEPARATORS.sub(_escaped, folded)}"


def _escaped(match: re.Match[str]) -> str:
    return "\\" + match[0]


def _unescaped(value: str) -> str:
    if "\\" not in value:
        return value
    raw = bytearray()
    at = 0
    for match in _ESCAPE.finditer(value):
        raw += value[at : match.start()].encode(errors="surrogatepass")
        code = match[1]
        raw += bytes.fromhex(code) if len(code) == 2 else code.encode(errors="surrogatepass")  # noqa: PLR2004 - hex digits
        at = match.end()
    raw += value[at:].encode(errors="surrogatepass")
    return raw.decode(errors="replace")
