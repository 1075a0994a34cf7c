"""``quaymaster config``: check, show and document the settings."""

from __future__ import annotations

import sys
from dataclasses import asdict

import typer

from config.errors import ConfigError
from config.fields import leaves_of
from config.loading import DEFAULT_SOURCE, load
from config.reference import render
from server.cli.context import ConfigOption, JsonOption
from server.cli.output import emit_json, emit_rows, note, reporting

app = typer.Typer(no_args_is_help=True, help="Check, show and document the settings.")


@app.command()
def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Read all settings and report every mistake; exit code 1 if there is one."""
    with reporting():
        try:
            loaded = load(config)
        except ConfigError as error:
            if not as_json:
                raise
            emit_json({"ok": False, "mistakes": [asdict(problem) for problem in error.problems]})
            raise typer.Exit(1) from None
        if as_json:
            emit_json({"ok": True, "given": len(loaded.sources)})
        else:
            count = len(leaves_of(loaded.settings))
            note(f"The configuration is good: {len(loaded.sources)} of {count} settings are given.")


@app.command()
def show(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print every setting with its value and where the value came from; secrets are masked.

    Providers that are kept in the database are none of these.
    """
    with reporting():
        loaded = load(config)
        rows = [
            {
                "key": leaf.key,
                "value": leaf.shown(leaf.value(loaded.settings)),
                "source": loaded.sources.get(leaf.key, DEFAULT_SOURCE),
            }
            for leaf in leaves_of(loaded.settings)
        ]
        emit_rows(rows, ("key", "value", "source"), as_json=as_json, empty="")


@app.command()
def reference() -> None:
    """Write docs/configuration.md to standard output."""
    sys.stdout.write(render())
