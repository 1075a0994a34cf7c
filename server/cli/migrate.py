"""``quaymaster migrate``: bring the database to this release's schema."""

from __future__ import annotations

import typer

from config.loading import load_settings
from server.cli.context import ConfigOption, JsonOption
from server.cli.output import emit_json, reporting, say
from storage.database.migrate import migrate as run_migrations

app = typer.Typer(help="Bring the database to this release's schema.")


@app.command()
def migrate(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Apply the migrations that the database lacks; back it up first. Safe to run again."""
    with reporting():
        settings = load_settings(config)
        if settings.database.url is None:
            settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        applied = run_migrations(settings.database_url)
        if as_json:
            emit_json({"applied": applied})
        elif applied:
            say(f"Applied {len(applied)} migrations: {', '.join(applied)}.")
        else:
            say("The database has this release's schema already.")
