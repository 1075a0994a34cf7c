"""Runs commands of the command line inside the test's own process."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner


@dataclass(frozen=True, slots=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The JSON document on standard output; fails if there is anything else."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Cli:
    """One installation, seen from its command line."""

    data: Path

    def run(self, noun: str, *arguments: str, stdin: str = "", env: dict[str, str] | None = None) -> Said:
        """Run ``quaymaster NOUN ARGUMENTS``; never fails by itself."""
        environ = {"QUAYMASTER_DATA": str(self.data), **(env or {})}
        with CliRunner().isolation(input=stdin, env=environ) as (out, err, _):
            code = _exit_code(_command(noun), noun, arguments)
            sys.stdout.flush()
            sys.stderr.flush()
            return Said(code, out.getvalue().decode(), err.getvalue().decode())

    def ok(self, noun: str, *arguments: str, stdin: str = "") -> Any:
        """Run a command with ``--json``, which must succeed, and give its data."""
        said = self.run(noun, *arguments, "--json", stdin=stdin)
        assert said.code == 0, said.err
        return said.data


@cache
def _command(noun: str) -> Any:
    """Make the parser of a noun's commands once: it takes longer than most commands, and holds no state."""
    return typer.main.get_command(importlib.import_module(f"server.cli.{noun}").app)


def _exit_code(command: Any, noun: str, arguments: Sequence[str]) -> int:
    try:
        command.main(list(arguments), prog_name=f"quaymaster {noun}")
    except SystemExit as end:
        return int(end.code or 0)
    pytest.fail("a command always ends by SystemExit")
