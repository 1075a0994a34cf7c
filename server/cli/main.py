"""The command ``quaymaster``. Each sub-command's module is imported only when it is asked for."""

from __future__ import annotations

import importlib
import sys
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

COMMANDS = (
    "serve",
    "config",
    "migrate",
    "user",
    "group",
    "provider",
    "sync",
    "scim",
    "folder",
    "grant",
    "key",
    "apikey",
    "session",
    "audit",
    "explain",
    "doctor",
)
"""The sub-commands; each is the module of this name next to this one, with a Typer ``app``."""


COMPLETION = {"install_completion", "show_completion"}  # only the command as a whole could have them


class LazyGroup(TyperGroup):
    """Knows its commands by name; ``serve`` must start fast and needs none of the others."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the library's signature
        """Name the commands, in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - as above
        """Import one command; None for an unknown one. Any: typer ships click under a private name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"server.cli.{cmd_name}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        command.params = [param for param in command.params if param.name not in COMPLETION]
        return command


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"quaymaster {metadata.version('quaymaster')}\n")
        raise typer.Exit


@app.callback()
def quaymaster(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """SFTP, FTPS and WebDAV over one tree of files, one authentication broker and one user store."""


def main() -> None:
    """Run the command line; exits."""
    app(prog_name="quaymaster")


if __name__ == "__main__":
    main()
