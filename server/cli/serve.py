"""``quaymaster serve``: the supervisor, and what it tells the person who started it."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NoReturn

import structlog
import typer

from config.errors import ConfigError
from config.loading import load_settings
from config.settings import Settings
from server.runtime import logs
from server.runtime.data_folder import DataFolderUnusable, held
from server.runtime.preparation import NotPrepared, Preparation, Report
from server.runtime.reload import reloaded
from server.runtime.roles import Role
from server.runtime.sockets import CannotListen, Listener, listen_all
from server.runtime.supervisor import Supervisor
from server.runtime.welcome import ready_text, users_text

log = structlog.get_logger(__name__)

app = typer.Typer(help="Run the server.")

WRONG_CONFIGURATION = 2
CANNOT_START = 1


@app.command()
def serve(
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="TOML file.")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Make demo users on the first start; print examples.")] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", min=1, max=64, help="Worker processes per front end.")
    ] = None,
) -> None:
    """Run the server until SIGTERM or Ctrl-C; SIGHUP loads the configuration and the certificate anew."""
    try:
        settings = load(config, workers)
    except ConfigError as error:
        _give_up(f"The configuration cannot be used:\n{error}", WRONG_CONFIGURATION)
    logs.set_up(settings.log, worker="supervisor")
    try:
        with held(settings.data):
            status = _run(settings, config=config, workers=workers, demo=demo)
    except (DataFolderUnusable, CannotListen, NotPrepared) as error:
        _give_up(str(error), CANNOT_START)
    raise typer.Exit(status)


def load(config: Path | None, workers: int | None) -> Settings:
    """Read the settings; the command line goes above all else, and the data folder's path becomes absolute."""
    environ: Mapping[str, str] = os.environ
    if workers is not None:
        environ = {**environ, "QUAYMASTER_WORKERS": str(workers)}
    settings = load_settings(config, environ)
    return settings.model_copy(update={"data": settings.data.absolute()})


def _run(settings: Settings, *, config: Path | None, workers: int | None, demo: bool) -> int:
    listening = listen_all(settings)
    report: list[Report] = []
    supervisor = Supervisor(
        settings,
        _by_role(listening),
        reload=lambda: reloaded(settings, lambda: load(config, workers)),
        on_ready=lambda: _say(ready_text(settings, report[0], demo=demo)),
    )
    preparation = Preparation()
    try:
        supervisor.start()  # the workers load their code while the preparation runs
        report.append(preparation.finish(settings, demo=demo))
    except BaseException:
        preparation.abandon()
        supervisor.kill()
        raise
    if text := users_text(report[0], demo=demo):
        _say(text)
    return supervisor.run()


def _by_role(listening: Mapping[Listener, socket.socket]) -> dict[Role, list[socket.socket]]:
    by_role: dict[Role, list[socket.socket]] = {}
    for listener, one in listening.items():
        by_role.setdefault(Role(listener.role), []).append(one)
    return by_role


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _give_up(why: str, status: int) -> NoReturn:
    sys.stderr.write(f"quaymaster cannot start. {why}\n")
    raise typer.Exit(status)
