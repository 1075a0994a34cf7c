"""``quaymaster doctor``: look at the machine and the installation, and say what to do."""

from __future__ import annotations

import typer

from config.loading import load_settings
from server.cli.checks import Outcome, run_checks
from server.cli.context import ConfigOption, JsonOption
from server.cli.output import cell, emit_json, reporting, say

app = typer.Typer()

_MARKS = {Outcome.OK: "ok  ", Outcome.WARN: "warn", Outcome.FAIL: "FAIL"}


@app.command()
def doctor(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check this machine and this installation; exit code 1 if something must be corrected.

    Nothing is changed: no folder is made and no database is migrated.
    """
    with reporting():
        checks = run_checks(load_settings(config))
        failed = [check for check in checks if check.outcome is Outcome.FAIL]
        if as_json:
            emit_json({"ok": not failed, "checks": [check.view() for check in checks]})
        else:
            for check in checks:
                say(f"{_MARKS[check.outcome]}  {check.name:<14} {cell(check.detail)}")
                if check.advice:
                    say(f"      {'':<14} -> {cell(check.advice)}")
        if failed:
            raise typer.Exit(1)
