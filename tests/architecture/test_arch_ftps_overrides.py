"""pyftpdlib reaches no file of the host: every method that could is ours."""

from __future__ import annotations

import ast
import inspect
import textwrap
from pathlib import Path

import pytest
from pyftpdlib.filesystems import AbstractedFS
from pyftpdlib.handlers.ftp.data import DTPHandler
from pyftpdlib.handlers.ftp.dispatchers import ActiveDTP
from pyftpdlib.handlers.ftps.control import TLS_FTPHandler

import server.ftps
from server.ftps.data_channel import DataChannel
from server.ftps.filesystem import WorkspaceFilesystem
from server.ftps.handler import ControlChannel
from server.ftps.passive import ActivePort

HARMLESS_STATE = {"__init__", "root", "cwd", "_isabs"}  # hold a text or read one
HOST_MODULES = {"os", "glob", "tempfile", "shutil", "io", "pathlib"}
PURE_CALLS = {
    ("os", "path", "split"),
    ("os", "path", "basename"),
    ("glob", "has_magic"),
}


def methods(kind: type) -> dict[str, object]:
    """Everything callable or computed that a class itself defines."""
    return {
        name: value
        for name, value in vars(kind).items()
        if inspect.isfunction(value) or isinstance(value, (staticmethod, property))
    }


def host_calls(function: object) -> set[tuple[str, ...]]:
    """Names such as os.path.split that a function calls."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))  # type: ignore[arg-type]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            dotted = tuple(ast.unparse(node.func).split("."))
            if dotted[0] in HOST_MODULES or dotted == ("open",):
                found.add(dotted)
    return found - PURE_CALLS


@pytest.mark.parametrize("name", sorted(methods(AbstractedFS).keys() - HARMLESS_STATE))
def test_every_method_of_the_library_s_file_system_is_overridden(name: str) -> None:
    """Whatever pyftpdlib asks of its file system, our class answers."""
    assert name in vars(WorkspaceFilesystem), f"AbstractedFS.{name} is inherited"


@pytest.mark.parametrize("name", sorted(name for name in dir(ControlChannel) if name.startswith("ftp_")))
def test_no_command_touches_the_host(name: str) -> None:
    """A command that is still pyftpdlib's own calls nothing of os, glob or tempfile that reads the disk."""
    assert set() == host_calls(getattr(ControlChannel, name))


def test_every_known_command_has_its_method_and_the_other_way_round() -> None:
    """FEAT and HELP tell the truth: what is announced is there, and nothing else is."""
    known = {name.replace(" ", "_") for name in ControlChannel.proto_cmds}
    there = {name.removeprefix("ftp_") for name in dir(ControlChannel) if name.startswith("ftp_")}

    assert known - there == {"SITE"}  # needs a word behind it, and then "SITE CHMOD" is looked up
    assert there - known == {"REIN"}


@pytest.mark.parametrize(
    ("ours", "theirs", "names"),
    [
        (
            ControlChannel,
            TLS_FTPHandler,
            (
                "close handle_error handle_ssl_established found_terminator collect_incoming_data pre_process_command "
                "respond log logline log_cmd log_exception run_as_current_user push_dtp_data _make_epasv _make_eport "
                "ftp_AUTH ftp_PROT ftp_USER ftp_PASS ftp_STOR ftp_APPE ftp_STOU ftp_RETR ftp_CWD ftp_SIZE ftp_MDTM "
                "ftp_MFMT ftp_RNFR ftp_SITE_CHMOD ftp_TYPE ftp_REST ftp_ALLO ftp_ABOR readable writable"
            ),
        ),
        (
            DataChannel,
            DTPHandler,
            (
                "__init__ close handle_close handle_error handle_timeout handle_read_event readable "
                "writable push push_with_producer enable_receiving close_when_done"
            ),
        ),
        (ActivePort, ActiveDTP, "handle_connect handle_close handle_timeout"),
    ],
)
def test_the_overrides_that_safety_rests_on_are_in_effect(ours: type, theirs: type, names: str) -> None:
    """A later pyftpdlib that renames one of these methods breaks this test, not the rule behind it."""
    for name in names.split():
        assert hasattr(theirs, name), f"pyftpdlib has no {theirs.__name__}.{name} any more"
        assert getattr(ours, name) is not getattr(theirs, name), f"{name} is inherited"


@pytest.mark.parametrize("path", sorted(Path(server.ftps.__file__).parent.glob("*.py")), ids=lambda path: path.name)
def test_the_package_itself_opens_no_file(path: Path) -> None:
    """In server/ftps, only the certificate is read from the host, and that by OpenSSL and one stat."""
    tree = ast.parse(path.read_text())
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    forbidden = {call for call in calls if call == "open" or call.split(".")[0] in {"os", "tempfile", "shutil", "glob"}}

    assert forbidden <= {"os.urandom", "os.stat_result"}
