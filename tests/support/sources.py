"""The shipped source files, as architecture tests read them."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("config", "storage", "auth_backends", "server")


@functools.cache
def modules() -> dict[str, Path]:
    """Give every shipped module's dotted name and its file."""
    files = (file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py")))
    return {_dotted(file): file for file in files}


@functools.cache
def imports(file: Path) -> tuple[str, ...]:
    """Give the dotted name of everything that a file imports, wherever in the file."""
    return tuple(_imports(file))


def _imports(file: Path) -> Iterator[str]:
    for node in _statements(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), level=0, names=names):
                yield module
                yield from (f"{module}.{alias.name}" for alias in names)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Give every statement, however deep; imports stand nowhere else, and expressions are most of a tree."""
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        for child in getattr(node, field, ()):
            yield child
            yield from _statements(child)


def _dotted(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
