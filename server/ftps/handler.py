"""The control channel as a whole: the base and all commands."""

from __future__ import annotations

from pyftpdlib.handlers.ftps.control import TLS_FTPHandler

from server.ftps.commands_files import FileCommands
from server.ftps.commands_info import InfoCommands
from server.ftps.commands_login import LoginCommands
from server.ftps.commands_transfer import TransferCommands


def _known_commands() -> dict[str, dict[str, object]]:
    """Give pyftpdlib's table of commands, with ours and without REIN.

    A connection serves one user to its end, so there is nothing to reinitialise.
    """
    commands = {name: dict(facts) for name, facts in TLS_FTPHandler.proto_cmds.items() if name != "REIN"}
    commands["OPTS"]["auth"] = False  # "OPTS UTF8 ON" comes before USER from many clients
    commands["CLNT"] = {"perm": None, "auth": False, "arg": True, "help": "Syntax: CLNT <SP> name (name the client)."}
    commands["CCC"] = {"perm": None, "auth": False, "arg": False, "help": "Syntax: CCC (refused)."}
    commands["AVBL"] = {"perm": None, "auth": True, "arg": None, "help": "Syntax: AVBL [<SP> path] (bytes available)."}
    return commands


class ControlChannel(LoginCommands, TransferCommands, FileCommands, InfoCommands):
    """One control connection."""

    proto_cmds = _known_commands()
