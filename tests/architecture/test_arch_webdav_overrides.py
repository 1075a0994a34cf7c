"""WsgiDAV reaches no file of the host, and none of its own ways to write, copy or sign in is used."""

from __future__ import annotations

import ast
import inspect
import textwrap

import pytest
from wsgidav.dav_provider import DAVCollection, DAVNonCollection, DAVProvider, _DAVResource
from wsgidav.request_server import RequestServer

from server.webdav.collection import DavDirectory
from server.webdav.dav_server import METHODS, DavServer
from server.webdav.provider import WorkspaceProvider
from server.webdav.resource import DavFile
from tests.support.sources import imports, modules

HOST_MODULES = {"os", "shutil", "tempfile", "io", "pathlib", "stat", "mimetypes"}
PURE_CALLS = {("os", "path", "splitext"), ("os", "extsep", "lower")}

# Handlers that are WsgiDAV's own on purpose, and what of theirs is replaced underneath.
KEPT = {
    "do_MKCOL": "asks the provider (exists, get_resource_inst) and the collection (create_collection); guarded before",
    "do_UNLOCK": "asks our LockManager",
    "do_POST": "refuses; not among the methods",
}

# What of a resource no handler of ours asks, and that refuses or only computes.
REFUSES_OR_COMPUTES = {
    "get_content_type": "guesses from the name",
    "copy_move_single": "raises",
    "delete": "raises",
    "move_recursive": "raises",
    "create_empty_resource": "raises 403",
    "set_last_modified": "raises",
}


def own_methods(kind: type) -> dict[str, object]:
    """The functions that a class defines itself."""
    return {name: value for name, value in vars(kind).items() if inspect.isfunction(value)}


def host_calls(function: object) -> set[tuple[str, ...]]:
    """Names such as os.stat or open that a function calls."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))  # type: ignore[arg-type]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            dotted = tuple(ast.unparse(node.func).split("."))
            if dotted[0] in HOST_MODULES or dotted == ("open",):
                found.add(dotted)
    return found - PURE_CALLS


@pytest.mark.parametrize("kind", [DavFile, DavDirectory, WorkspaceProvider, DavServer])
def test_no_method_in_use_touches_the_host(kind: type) -> None:
    """Ours or inherited: none calls os, shutil, open and the like."""
    touching = {
        name: host_calls(value)
        for name, value in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("__") and host_calls(value)
    }

    assert touching == {}


@pytest.mark.parametrize("name", sorted(name for name in dir(RequestServer) if name.startswith("do_")))
def test_every_handler_is_ours_or_kept_on_purpose(name: str) -> None:
    """A new handler of a new release is not taken unseen. PUT is the endpoint's."""
    assert name == "do_PUT" or name in vars(DavServer) or name in KEPT


class _NoLocks:
    """Stands where a lock table would; nothing asks it."""


def test_only_known_methods_are_served() -> None:
    """POST, REPORT, TRACE and what may come are 405."""
    server = DavServer(WorkspaceProvider(_NoLocks()))  # type: ignore[arg-type]

    assert set(METHODS) - {"PUT"} == set(server._possible_methods)
    assert server.allow_propfind_infinite is False


@pytest.mark.parametrize("name", sorted(own_methods(DAVProvider)))
def test_the_provider_asks_only_our_resources(name: str) -> None:
    """The one way to a resource is ours; the rest of the base goes through it."""
    source = inspect.getsource(vars(DAVProvider)[name])

    assert name == "get_resource_inst" or "open(" not in source
    assert "get_resource_inst" in vars(WorkspaceProvider)


@pytest.mark.parametrize("base", [_DAVResource, DAVCollection, DAVNonCollection])
def test_writing_methods_of_resources_refuse(base: type) -> None:
    """What would write, move or remove is ours, or raises in the base already."""
    writing = {"begin_write", "create_collection", "create_empty_resource", "delete", "copy_move_single"}
    writing |= {"move_recursive", "set_last_modified", "get_content"}
    for name in writing & own_methods(base).keys():
        ours = name in vars(DavFile) or name in vars(DavDirectory)
        assert ours or name in REFUSES_OR_COMPUTES
        if not ours:
            assert "raise " in inspect.getsource(vars(base)[name])


@pytest.mark.parametrize(
    "module",
    [
        "wsgidav.fs_dav_provider",
        "wsgidav.http_authenticator",
        "wsgidav.wsgidav_app",
        "wsgidav.dir_browser",
        "wsgidav.mw.cors",
        "wsgidav.lock_man",
        "wsgidav.prop_man",
    ],
)
def test_the_dangerous_parts_are_not_imported(module: str) -> None:
    """No file-system provider, authenticator, directory browser, CORS, or lock and property store of WsgiDAV."""
    importing = [
        name
        for name, path in modules().items()
        if any(one == module or one.startswith(f"{module}.") for one in imports(path))
    ]

    assert importing == []
