"""What a file's content is known by."""

from __future__ import annotations

import hashlib
from pathlib import Path


def digest(file: Path) -> str:
    """SHA-256 of a file."""
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
