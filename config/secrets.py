"""Settings that hold secrets: where they may be kept, and how they are shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

MASK = "***"
_URL_PASSWORD = re.compile(r"(?P<before>://[^/?#@:]*):[^/?#]*@")
_QUERY_PASSWORD = re.compile(r"(?P<before>[?&](?:password|sslpassword|passfile)=)[^&#]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MaskedUrl:
    """Marks a setting whose value is a URL: shown without its password, and readable by reference."""


@dataclass(frozen=True, slots=True)
class Masked:
    """Marks a setting that is secret as a whole: never shown, and readable by reference."""


class Place(StrEnum):
    """Where a referenced secret is kept."""

    FILE = "file"
    ENVIRONMENT = "env"


class SecretUnreadable(Exception):
    """The place that a reference names gives no text; the message says why and holds no secret."""


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Says where a secret is kept, not what it is: ``file:/run/secrets/url`` or ``env:NAME``."""

    place: Place
    name: str

    @classmethod
    def parse(cls, text: str) -> SecretRef | None:
        """Read a reference; None if the text is the value itself."""
        for place in Place:
            prefix = f"{place}:"
            if text.startswith(prefix):
                return cls(place, text.removeprefix(prefix))
        return None

    def resolve(self, environ: Mapping[str, str], folder: Path) -> str:
        """Fetch the text; a relative file is looked up in ``folder``. Raises SecretUnreadable."""
        match self.place:
            case Place.FILE:
                return read_secret_file(folder / self.name)
            case Place.ENVIRONMENT:
                if not environ.get(self.name):
                    raise SecretUnreadable(f"the environment variable {self.name} is not set")
                return environ[self.name]


def read_secret_file(path: Path) -> str:
    """Give the text of a file without the line break at its end. Raises SecretUnreadable."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SecretUnreadable(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SecretUnreadable(f"{path} is not UTF-8 text") from None
    except ValueError:  # a NUL, or a letter that the file system's encoding does not have
        raise SecretUnreadable(f"{str(path)!r} cannot be a file's name") from None
    text = text.rstrip("\r\n")
    if not text:
        raise SecretUnreadable(f"{path} is empty")
    return text


def masked_url(url: str | None) -> str | None:
    """Give the URL with every password in it replaced by ``***``."""
    if url is None:
        return None
    return _QUERY_PASSWORD.sub(rf"\g<before>{MASK}", _URL_PASSWORD.sub(rf"\g<before>:{MASK}@", url))
