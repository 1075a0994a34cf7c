"""Runs commands of the command line inside the test's own process."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        app = importlib.import_module(f"server.cli.{noun}").app
        environ = {"QUAYMASTER_DATA": str(self.data), **(env or {})}
        result = CliRunner().invoke(app, list(arguments), input=stdin, env=environ)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    def ok(self, noun: str, *arguments: str, stdin: str = "") -> Any:
        """Run a command with ``--json``, which must succeed, and give its data."""
        said = self.run(noun, *arguments, "--json", stdin=stdin)
        assert said.code == 0, said.err
        return said.data
