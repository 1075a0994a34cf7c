"""Statements are compiled once for all tests of a process: each test has an engine of its own, which would begin anew.

That is most of what a short test of the store does; it goes on a connection by SQLAlchemy's option ``compiled_cache``.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, event


class _Compiled(dict[tuple[Any, ...], Any]):
    """Compiled statements by dialect, statement and columns; SQLAlchemy's keys begin with an engine's own dialect."""

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:
        return super().get((key[0].name, *key[1:]), default)

    def __setitem__(self, key: tuple[Any, ...], value: Any) -> None:
        super().__setitem__((key[0].name, *key[1:]), value)


_COMPILED = _Compiled()


@event.listens_for(Engine, "engine_connect")
def _use_them(connection: Connection) -> None:
    connection.execution_options(compiled_cache=_COMPILED)
