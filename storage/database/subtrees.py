"""Subtrees: the condition that a path column lies below a path, served by the (tree, path) index."""

from __future__ import annotations

from sqlalchemy import Column, ColumnElement, Connection, and_, collate


def below(connection: Connection, column: Column[str], path: str) -> ColumnElement[bool]:
    """Say that ``column`` names a place strictly below ``path`` (absolute, without a trailing slash but for ``/``).

    A range instead of LIKE, whose case folding differs between the databases; ``0`` follows ``/``.
    """
    collation = "BINARY" if connection.dialect.name == "sqlite" else "C"
    stem = path.rstrip("/")
    ordered = collate(column, collation)
    return and_(ordered > f"{stem}/", ordered < f"{stem}0")


def ancestors(path: str) -> list[str]:
    """List the path itself and every directory above it, up to ``/``."""
    names = [name for name in path.split("/") if name]
    return ["/" + "/".join(names[:depth]) for depth in range(len(names), -1, -1)]
