"""How commands speak: data on standard output, words for people on standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.errors import ConfigError
from storage.database.errors import (
    Conflict,
    InvalidChange,
    NotFoundInStore,
    SchemaTooNew,
    SchemaTooOld,
    StoreError,
    StoreUnavailable,
)

_WIDE = 240  # columns when nobody's terminal says otherwise: a pipe must not wrap


class Failure(Exception):
    """A command cannot do what was asked: what happened, why, and what to do next."""

    def __init__(self, what: str, why: str = "", then: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.then = then


def printable(value: object) -> str:
    """Give text that cannot drive a terminal: control characters are shown as escapes.

    Names in the audit trail were typed by strangers.
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in str(value)
    )


def moment(at: float | None) -> str | None:
    """Give Unix seconds as ISO 8601 in UTC, to the second."""
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def emit_json(data: object) -> None:
    """Write one JSON document to standard output."""
    sys.stdout.write(json.dumps(data, indent=2) + "\n")


def emit_json_line(data: Mapping[str, object]) -> None:
    """Write one JSON object on a line of its own, at once."""
    sys.stdout.write(json.dumps(data) + "\n")
    sys.stdout.flush()


def emit_rows(rows: Sequence[Mapping[str, object]], columns: Sequence[str], *, as_json: bool, empty: str) -> None:
    """Print a list: a JSON array of all fields, or a table of the named columns."""
    if as_json:
        emit_json(list(rows))
        return
    if not rows:
        note(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(row[column])) for column in columns))
    _console().print(table)


def emit_record(record: Mapping[str, object], *, as_json: bool) -> None:
    """Print one thing: a JSON object, or a line for each field."""
    if as_json:
        emit_json(record)
        return
    width = max(len(name) for name in record)
    for name, value in record.items():
        _console().print(Text(f"{name.replace('_', ' '):<{width}}  {cell(value)}"), soft_wrap=True)


def say(text: str) -> None:
    """Print a line for people on standard output; not for use with ``--json``."""
    _console().print(Text(text), soft_wrap=True)


def note(text: str) -> None:
    """Print a line for people on standard error."""
    Console(stderr=True).print(Text(text), soft_wrap=True)


def warn(text: str) -> None:
    """Print a warning on standard error."""
    Console(stderr=True).print(Text.assemble(("Warning: ", "yellow"), printable(text)), soft_wrap=True)


def cell(value: object) -> str:
    """Give one value as a person reads it."""
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return "; ".join(cell(part) for part in value) or "-"
        case dict():
            return ", ".join(f"{printable(name)}={cell(part)}" for name, part in value.items())
        case _:
            return printable(value)


@contextmanager
def reporting() -> Iterator[None]:
    """Turn every known failure into words on standard error and exit code 1."""
    try:
        yield
    except Failure as failure:
        _complain(failure)
    except ConfigError as error:
        count = len(error.problems)
        lines = "\n".join(f"  {printable(problem)}" for problem in error.problems)
        what = f"The configuration has {count} mistake{'s' if count > 1 else ''}:\n{lines}"
        _complain(Failure(what, then="correct them, then run: quaymaster config check"))
    except StoreError as error:
        _complain(_of_store(error))
    except BrokenPipeError:  # the reader of our output left, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None


def _of_store(error: StoreError) -> Failure:
    match error:
        case StoreUnavailable():
            return Failure("The database cannot be reached.", str(error), "run: quaymaster doctor")
        case SchemaTooOld():
            return Failure("The database is from an older version.", str(error), "run: quaymaster migrate")
        case SchemaTooNew():
            return Failure(
                "The database is from a newer version.",
                str(error),
                "use the version that wrote it, or newer",
            )
        case Conflict() | InvalidChange() | NotFoundInStore():
            return Failure(str(error), then="nothing was changed")
        case _:
            return Failure("The database refused.", str(error), "run: quaymaster doctor")


def _complain(failure: Failure) -> None:
    console = Console(stderr=True)
    lines = "\n".join(printable(line) for line in failure.what.splitlines())
    console.print(Text.assemble(("Error: ", "bold red"), lines), soft_wrap=True)
    if failure.why:
        console.print(Text(f"  Why: {printable(failure.why)}"), soft_wrap=True)
    if failure.then:
        console.print(Text(f"  Next: {printable(failure.then)}"), soft_wrap=True)
    raise typer.Exit(1) from None


def _console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=_WIDE, no_color=True)
