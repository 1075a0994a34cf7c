"""asyncssh's SFTPServer reaches the host's disk; nothing of that is left in ours."""

from __future__ import annotations

import ast
import inspect

import asyncssh
import pytest
from asyncssh.sftp import SFTPServerHandler

from server.sftp.connection import Connection
from server.sftp.filesystem import WorkspaceServer
from server.sftp.handler import SftpHandler

# What may stay asyncssh's, because it touches nothing but the channel and its own arguments.
JUSTIFIED = {
    "channel": "the channel it was made for",
    "connection": "the connection of that channel",
    "env": "the channel's environment, which takes no variables (see SftpChannel)",
    "logger": "the channel's logger",
    "convert_attrs": "turns an os.stat_result into attributes; ours are attributes already",
}


def own_names(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers_static(kind) if not name.startswith("_")}


@pytest.mark.parametrize("name", sorted(own_names(asyncssh.SFTPServer)))
def test_every_method_is_ours_or_justified(name: str) -> None:
    """A method that a new asyncssh brings fails here until somebody has looked at it."""
    assert (name in vars(WorkspaceServer)) != (name in JUSTIFIED)


def test_the_justified_list_names_only_what_is_there() -> None:
    """An exception for something that is gone is no exception."""
    assert own_names(asyncssh.SFTPServer) >= set(JUSTIFIED)


def test_ours_does_not_call_asyncsshs() -> None:
    """No ``super()`` but for construction, so that no host path comes in by that way."""
    tree = ast.parse(inspect.getsource(inspect.getmodule(WorkspaceServer)))  # type: ignore[arg-type]
    calls = [
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == "super"
    ]

    assert calls == ["__init__"]


def test_the_front_end_opens_no_host_file() -> None:
    """No module of the front end but the one that reads host keys uses ``open`` or os functions on paths."""
    for module in (WorkspaceServer, SftpHandler, Connection):
        source = inspect.getsource(inspect.getmodule(module))  # type: ignore[arg-type]
        assert "import os" not in source
        assert " open(" not in source.replace("def open(", "").replace("async def", "")


@pytest.mark.parametrize("kind", list(SftpHandler._packet_handlers), ids=str)
def test_every_request_is_guarded(kind: int | bytes) -> None:
    """Whatever a request raises becomes a status without the exception's text."""
    assert SftpHandler._packet_handlers[kind].__name__ == "guarded"


@pytest.mark.parametrize(
    ("base", "ours", "methods"),
    [
        (
            SFTPServerHandler,
            SftpHandler,
            ["_process_packet", "_cleanup", "recv_packet", "recv_packets", "_process_open"],
        ),
        (
            asyncssh.SSHServerConnection,
            Connection,
            ["data_received", "pause_writing", "resume_writing", "reload_config", "_finish_userauth",
             "validate_public_key", "_cleanup"],
        ),
    ],
)  # fmt: skip
def test_the_private_methods_that_we_replace_exist(base: type, ours: type, methods: list[str]) -> None:
    """An asyncssh that renames one would silently bring its own behaviour back."""
    for method in methods:
        assert hasattr(base, method)
        assert method in vars(ours)
