"""Names that people and scripts outside the repository rely on, and words that must not ship."""

from __future__ import annotations

import importlib
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from config.fields import leaves
from server.cli.main import COMMANDS
from tests.support.sources import modules

DIRECTORY = (
    {"--host", "--security", "--ca-file", "--tls-name", "--vendor", "--base-dn", "--user-base-dn", "--group-base-dn"}
    | {"--bind-user", "--user-filter", "--group-filter", "--id-attribute", "--login-attribute", "--alias-attribute"}
    | {"--domain", "--upn-suffix", "--groups-include", "--groups-exclude", "--groups-required", "--default-group"}
    | {"--protocols", "--home-layout", "--on-departure", "--sync-interval", "--full-sync-interval", "--timeout"}
    | {"--max-disabled-percent", "--max-disabled-count", "--connections", "--lockout-threshold", "--lockout-window"}
)
IDENTITY_PROVIDER = {"--method", "--default-group", "--protocols", "--home-layout", "--max-requests-per-s"} | {
    "--max-disabled-percent",
    "--max-disabled-count",
}

# noun -> command -> options; a command of one word has the noun itself as its only command
CONTRACT: dict[str, dict[str, set[str]]] = {
    "serve": {"serve": {"--config", "--demo", "--workers"}},
    "migrate": {"migrate": {"--config"}},
    "config": {"check": {"--config"}, "show": {"--config", "--json"}, "reference": set()},
    "user": {
        "add": {"--method", "--provider", "--password-stdin", "--admin", "--break-glass", "--display-name", "--email"}
        | {"--quota", "--expires", "--protocols", "--networks", "--external-id", "--json"},
        "list": {"--provider", "--json"},
        "show": {"--json"},
        "disable": {"--json"},
        "enable": {"--json"},
        "set-method": {"--method", "--provider", "--external-id", "--json"},
        "link": {"--provider", "--external-id", "--json"},
        "unlink": {"--provider", "--json"},
        "adopt": {"--provider", "--external-id", "--yes", "--json"},
        "migrate": {"--to", "--from", "--group", "--all", "--pilots", "--ids", "--external-id", "--include-blocked"}
        | {"--groups", "--stop-after", "--dry-run", "--yes", "--json"},
        "pilot": {"--to", "--remove", "--json"},
        "migrations": {"--limit", "--json"},
        "migrate-undo": {"--last-batch", "--yes", "--json"},
        "rename": {"--json"},
        "delete": {"--json"},
        "passwd": {"--password-stdin", "--json"},
    },
    "group": {
        name: {"--config", "--json"} for name in ("add", "list", "show", "delete", "add-member", "remove-member")
    },
    "provider": {
        "add ldap": DIRECTORY | {"--bind-password-stdin", "--no-test", "--json"},
        "add sso": IDENTITY_PROVIDER | {"--json"},
        "set": DIRECTORY | IDENTITY_PROVIDER | {"--bind-password-stdin", "--no-test", "--json"},
        "list": {"--json"},
        "show": {"--json"},
        "test": {"--login", "--json"},
        "remove": {"--yes", "--json"},
        "map-role": {"--group-id", "--group", "--role", "--yes", "--json"},
        "unmap-role": {"--group-id", "--json"},
    },
    "sync": {
        "run": {"--full", "--dry-run", "--approve", "--json"},
        "status": {"--json"},
        "log": {"--run", "--limit", "--json"},
        "conflicts": {"--json"},
    },
    "scim": {
        "show": {"--url", "--json"},
        "token issue": {"--kind", "--expires", "--title", "--json"},
        "token rotate": {"--overlap", "--kind", "--expires", "--title", "--json"},
        "token reset": {"--yes", "--kind", "--expires", "--title", "--json"},
        "token extend": {"--expires", "--json"},
        "token revoke": {"--yes", "--json"},
        "token list": {"--json"},
        "log": {"--limit", "--failed", "--user", "--since", "--writes", "--bodies", "--follow", "--export", "--json"},
        "held": {"--json"},
        "approve": {"--user", "--yes", "--json"},
        "dismiss": {"--user", "--yes", "--json"},
        "conflicts": {"--json"},
        "restore": {"--json"},
        "replay-check": {"--provider", "--json"},
    },
    "folder": {"add": {"--root", "--quota", "--json"}, "list": {"--json"}, "delete": {"--json"}},
    "grant": {
        "add": {"--user", "--group", "--path", "--folder", "--preset", "--allow", "--deny", "--json"},
        "list": {"--user", "--group", "--json"},
        "delete": {"--json"},
    },
    "key": {
        "add": {"--title", "--expires", "--networks", "--read-only", "--json"},
        "generate": {"--out", "--json"},
        "list": {"--json"},
        "revoke": {"--json"},
    },
    "apikey": {
        "issue": {"--title", "--protocols", "--paths", "--read-only", "--networks", "--expires", "--json"},
        "list": {"--json"},
        "revoke": {"--json"},
    },
    "session": {"list": {"--json"}, "cut": {"--json"}},
    "audit": {"tail": {"--follow", "--user", "--kind", "--limit", "--json"}},
    "explain": {"explain": {"--front-end", "--credential", "--from", "--json"}},
    "doctor": {"doctor": {"--config", "--json"}},
}

VARIABLES = {
    "QUAYMASTER_DATA",
    "QUAYMASTER_WORKERS",
    "QUAYMASTER_SFTP__PORT",
    "QUAYMASTER_FTPS__PORT",
    "QUAYMASTER_FTPS__IMPLICIT_PORT",
    "QUAYMASTER_FTPS__PASSIVE_PORTS",
    "QUAYMASTER_HTTP__PORT",
    "QUAYMASTER_DATABASE__URL",
}


def commands(noun: str) -> dict[str, Any]:
    command: Any = typer.main.get_command(importlib.import_module(f"server.cli.{noun}").app)
    return dict(_leaves(command, ())) if hasattr(command, "commands") else {noun: command}


def _leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield " ".join(path), command
        return
    for name, inner in command.commands.items():
        yield from _leaves(inner, (*path, name))


def options(command: Any) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


def test_every_noun_is_reachable() -> None:
    """``quaymaster NOUN`` exists for each noun of the contract."""
    assert set(COMMANDS) >= set(CONTRACT)


@pytest.mark.parametrize("noun", sorted(CONTRACT))
def test_every_command_has_its_options(noun: str) -> None:
    """Commands may be added, never taken away or renamed."""
    present = {name: options(command) for name, command in commands(noun).items()}
    missing = {
        name: sorted(wanted - present.get(name, set()))
        for name, wanted in CONTRACT[noun].items()
        if name not in present or wanted - present[name]
    }

    assert missing == {}


@pytest.mark.parametrize("noun", sorted(set(CONTRACT) - {"config"}))
def test_every_command_takes_a_configuration(noun: str) -> None:
    """``--config`` works everywhere, so that a command and ``serve`` look at the same installation."""
    assert [name for name, command in commands(noun).items() if "--config" not in options(command)] == []


def test_the_environment_variables_of_the_contract() -> None:
    """They name settings."""
    assert {leaf.variable for leaf in leaves()} >= VARIABLES


STUBS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


@pytest.mark.parametrize("file", list(modules().values()), ids=list(modules()))
def test_nothing_unfinished_ships(file: Path) -> None:
    """No comment that promises, and nothing that only says it is not there yet."""
    text = file.read_text(encoding="utf-8")
    suspect = STUBS.search(text) or "NotImplementedError" in text  # to take every file apart takes seconds
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline)) if suspect else []
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT and STUBS.search(token.string)]
    names = [token.string for token in tokens if token.type == tokenize.NAME and token.string == "NotImplementedError"]

    assert comments + names == []
